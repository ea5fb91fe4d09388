import { connect } from 'node:net';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** A machine of the same network answers in a fraction of it. */
const ANSWER_MS = 1_000;

/**
 * Whether the machines of all these addresses answer, and nobody listens there any more: the processes that did are dead. A
 * machine that does not answer may be cut off only.
 */
export async function nobodyListensAt(addresses: readonly Address[]): Promise<boolean> {
  const refused = await Promise.all(addresses.map(isRefusedAt));
  return refused.length > 0 && !refused.includes(false);
}

function isRefusedAt({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ANSWER_MS });
    const done = (isRefused: boolean): void => {
      socket.destroy();
      resolve(isRefused);
    };
    socket.on('connect', () => done(false));
    socket.on('timeout', () => done(false));
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED'));
  });
}
