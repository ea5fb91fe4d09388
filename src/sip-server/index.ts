/** Reading and writing of messages, for a SIP client in this process. */
export { Headers } from './message/headers.js';
export { encodeMessage, type SipMessage, type SipRequest, type SipResponse } from './message/message.js';
export { parseMessage } from './message/parse.js';
export { type Endpoint, type TransportName } from './transport/flow.js';
export { StreamFramer } from './transport/stream-framer.js';
export type { SavedDialog } from './dialog/saved-dialog.js';
export { startSipServer, type SipServer } from './server.js';
export { type HttpRouter, httpRouter, type HttpRouterOptions } from './routing/decision.js';
export type { NewRequest, RequestRouter, RoutingDecision } from './routing/decision.js';
export { KNOWN_SCANNERS, type RequestExemption } from './defence/source-filter.js';
export type { InviteView } from './defence/request-view.js';
export type { SipAdmission, SipLimits, SipServerOptions } from './options.js';
export type { SipCounters } from './counters.js';
export type { TlsPeerOptions } from './transport/connection.js';
export type { ListenerOptions } from './transport/transports.js';
export type { MessageTap } from './trace.js';
