import type { Edge } from './edge/edge.js';
import type { Desk } from './leader/desk.js';
import type { FromEdge, FromLeader, LinkListener } from './messages.js';

/** Connects an edge with the leader in the same process: what one sends the other has at once. @returns what ends that */
export function connectLocally(edge: Edge, desk: Pick<Desk, 'accept'>): () => void {
  // What the leader answers to the hello comes before the edge has its listener.
  const early: FromLeader[] = [];
  let toEdge: LinkListener<FromLeader> = {
    received: (message) => early.push(message),
    closed: () => undefined,
  };
  const state = { isOpen: true };
  const close = (): void => {
    if (!state.isOpen) return;
    state.isOpen = false;
    atLeader.closed();
    toEdge.closed();
  };
  const atLeader = desk.accept({
    send: (message) => {
      if (state.isOpen) toEdge.received(message);
    },
    close,
    isLocal: true,
  });
  const atEdge = edge.connectTo({
    send: (message: FromEdge) => {
      if (state.isOpen) atLeader.received(message);
    },
    close,
  });
  // What the leader says to that comes behind.
  for (let message = early.shift(); message; message = early.shift()) atEdge.received(message);
  toEdge = atEdge;
  // The leader may have closed it at once.
  if (!state.isOpen) atEdge.closed();
  return close;
}
