import type { PhoneCall } from './call.js';
import type { PhoneMedia } from './options.js';
import { refusalHeaders, refusalOf } from './refusal.js';
import type { SipRequest, SipResponder } from './sip.js';
import { sdpOf, SDP_TYPE } from './sip.js';

/** A re-INVITE or UPDATE: hold, resume, another address or codec. Answered from the state that it leads to. */
export function changeSession(
  call: PhoneCall,
  media: PhoneMedia,
  request: SipRequest,
  responder: SipResponder,
): void {
  const sdpOffer = sdpOf(request);
  media.updatePhone(call.info.id, sdpOffer).then(
    ({ sdp, stream, held }) => {
      call.publish(stream);
      responder.send(200, { headers: { 'Content-Type': SDP_TYPE }, body: sdp });
      call.log.info({ held }, 'The phone changed the session.');
    },
    (error: unknown) => {
      const refusal = refusalOf(error);
      call.log.warn({ err: error, status: refusal.status }, 'A change of the session was refused.');
      responder.send(refusal.status, { headers: refusalHeaders(refusal) });
    },
  );
}
