import type { MessageMeta } from '../apps/wire.js';
import type { Flow } from '../transport/flow.js';

/** How an application is told where a message came from. */
export function network(flow: Flow): MessageMeta {
  return { source: 'network', transport: flow.transport, remote: flow.remote };
}

/** How an application is told where a message of its own went. */
export function sentTo(flow: Flow): MessageMeta {
  return { source: 'application', transport: flow.transport, remote: flow.remote };
}
