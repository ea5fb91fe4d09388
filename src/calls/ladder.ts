import type { LadderMessage } from '../core/index.js';
import type { KeptMessage } from './trace-ring.js';

const REQUEST = /^([A-Za-z.!%*_+`'~-]{1,32}) \S/;
const RESPONSE = /^SIP\/\d\.\d (\d{3})(?: ([^\r\n]*))?/;
const CSEQ = /^CSeq[ \t]*:[ \t]*\d+[ \t]+(\S+)/im;
const LONGEST_REASON = 60;

/** @param mask hides the secrets in a message's text */
export function ladder(messages: readonly KeptMessage[], mask: (text: string) => string): LadderMessage[] {
  const seen = new Set<string>();
  return messages.map(({ at, direction, bytes, transport, local, remote }) => {
    const latin1 = bytes.toString('latin1');
    const key = `${direction} ${remote.host} ${latin1}`;
    const repeated = seen.has(key);
    seen.add(key);
    const text = Buffer.from(mask(latin1), 'latin1').toString('utf8');
    const [peer, gateway] = [endpoint(transport, remote), local ? endpoint(transport, local) : transport];
    return {
      at,
      direction,
      from: direction === 'in' ? peer : gateway,
      to: direction === 'in' ? gateway : peer,
      ...startOf(text),
      text,
      repeated,
    };
  });
}

function endpoint(
  transport: string,
  { host, port }: { readonly host: string; readonly port: number },
): string {
  return `${transport}/${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function startOf(text: string): Pick<LadderMessage, 'method' | 'status' | 'summary'> {
  const method = CSEQ.exec(text)?.[1] ?? '';
  const body = /\r?\n\r?\nv=0/.test(text) ? ' with SDP' : '';
  const response = RESPONSE.exec(text);
  if (response) {
    const status = Number(response[1]);
    const words = `${status} ${(response[2] ?? '').slice(0, LONGEST_REASON)}`.trim();
    return { method, status, summary: `${words} (${method})${body}` };
  }
  const name = REQUEST.exec(text)?.[1] ?? method;
  return { method: name, summary: `${name}${body}` };
}

/** A ladder as text, for a ticket. */
export function ladderText(messages: readonly LadderMessage[]): string {
  return messages
    .map(({ at, from, to, text, repeated }) => {
      const note = repeated ? ' (repeated)' : '';
      return `${new Date(at).toISOString()}  ${from} -> ${to}${note}\n${text.replaceAll('\r\n', '\n').trimEnd()}\n\n`;
    })
    .join('');
}
