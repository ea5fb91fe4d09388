export { startSipServer, type SipServer } from './server.js';
export { type HttpRouter, httpRouter, type HttpRouterOptions } from './routing/http-router.js';
export type { NewRequest, RequestRouter, RoutingDecision } from './routing/decision.js';
export { KNOWN_SCANNERS } from './defence/scanners.js';
export type { RequestExemption, SipAdmission, SipLimits, SipServerOptions } from './options.js';
export type { SipCounters } from './counters.js';
export type { SipLog } from './log.js';
export type { TlsPeerOptions } from './transport/tls-peer.js';
export type { ListenerOptions } from './transport/transports.js';
