import type { Edge } from './edge/edge.js';
import type { Desk } from './leader/desk.js';
import type { FromEdge, FromLeader, LinkListener } from './messages.js';

/** Connects an edge with the leader in the same process: what one sends the other has at once. @returns what ends that */
export function connectLocally(edge: Edge, desk: Desk): () => void {
  // What the leader answers to the hello comes before the edge has its listener.
  const early: FromLeader[] = [];
  let toEdge: LinkListener<FromLeader> = {
    received: (message) => early.push(message),
    closed: () => undefined,
  };
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    atLeader.closed();
    toEdge.closed();
  };
  const atLeader = desk.accept({
    send: (message) => {
      if (isOpen) toEdge.received(message);
    },
    close,
  });
  const atEdge = edge.connectTo({
    send: (message: FromEdge) => {
      if (isOpen) atLeader.received(message);
    },
    close,
  });
  toEdge = atEdge;
  for (const message of early) atEdge.received(message);
  return close;
}
