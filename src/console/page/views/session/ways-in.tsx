import { sipAddress } from '../../gateway/signed-in.js';
import { Copy, QrCode } from '../../parts/index.js';

/** All that lets somebody in as a participant: by browser, by phone, or by a Voice API application. */
export function WaysIn({ token }: { readonly token: string }) {
  const link = `${location.origin}/#token=${token}`;
  const bxml = `<Response><Transfer><SipUri uui="${token};encoding=jwt">sip:${sipAddress()}</SipUri></Transfer></Response>`;
  return (
    <section class="ways-in" aria-labelledby="ways-in">
      <h3 id="ways-in">Ways in</h3>
      <div class="ways">
        <div class="way">
          <h4>Browser</h4>
          <QrCode text={link} label="QR code of the link that joins by browser" />
          <a href={link} target="_blank" rel="noreferrer">
            Join in a new tab
          </a>
          <Copy label="Link" text={link} />
        </div>
        <div class="way">
          <h4>Phone</h4>
          <p class="hint">Dial it with a softphone, or transfer a call to it by BXML.</p>
          <Copy label="SIP URI" text={`sip:${token}@${sipAddress()}`} />
          <Copy label="BXML" text={bxml} />
          <Copy label="Token" text={token} />
        </div>
      </div>
      <p class="hint">The token is shown only here and now: the gateway does not keep it.</p>
    </section>
  );
}
