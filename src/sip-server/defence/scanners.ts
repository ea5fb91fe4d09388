import type { SipRequest } from '../message/message.js';

/** Names that well-known scanners give themselves, in lower case. */
export const KNOWN_SCANNERS = [
  'friendly-scanner',
  'sipvicious',
  'sundayddr',
  'sip-scan',
  'sipscan',
  'sipcli',
  'smap',
  'iwar',
  'vaxsipuseragent',
  'pplsip',
  'siparmyknife',
  'test agent',
];

/** Whether a request comes from a scanner; those get no answer, so that they find nothing here. */
export function isScanner(request: SipRequest, names: readonly string[]): boolean {
  const agent = request.headers.get('user-agent')?.toLowerCase();
  return agent !== undefined && names.some((name) => agent.includes(name));
}
