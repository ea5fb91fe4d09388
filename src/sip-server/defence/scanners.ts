import type { SipRequest } from '../message/message.js';

/** Names that well-known scanners give themselves. VaxSIPUserAgent, of some of them too, is a softphone kit's. */
export const KNOWN_SCANNERS = [
  'friendly-scanner',
  'sipvicious',
  'sundayddr',
  'sip-scan',
  'sipscan',
  'sipcli',
  'smap',
  'iwar',
  'pplsip',
  'siparmyknife',
  'test agent',
];

/**
 * Whether a request comes from a scanner, by the name with which its User-Agent begins: the whole of it, as other
 * programs are called SIPClient and Smaptel.
 */
export function isScanner(request: SipRequest, names: readonly string[]): boolean {
  const agent = request.headers.get('user-agent')?.trim().toLowerCase();
  return agent !== undefined && names.some((name) => beginsWith(agent, name.toLowerCase()));
}

function beginsWith(agent: string, name: string): boolean {
  return agent.startsWith(name) && !/[\w-]/.test(agent[name.length] ?? '');
}
