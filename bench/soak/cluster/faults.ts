import type { PostgresServer } from '../../../test/support/postgres.js';
import type { Random } from '../talking/random.js';
import type { Machine } from './machine.js';

/** What happens to a gateway, or to the database. */
type FaultKind =
  | 'process dies'
  | 'all processes die'
  | 'machine dies'
  | 'process paused'
  | 'process paused for seconds'
  | 'process paused for long'
  | 'cut off'
  | 'cut off for long'
  | 'database dies';

/** In the place of a leader that is away another one leads after 3 s, and counts anew; a phone is asked, and heard again, within some. */
const LONGER_MS = 8000;
/** How often each kind is drawn, and for how long it lasts (ms): at least, and how much more; or longer than the edge's lease. */
const KINDS: readonly (readonly [FaultKind, number, readonly [number, number] | 'long'])[] = [
  ['process dies', 5, [0, 1500]],
  ['all processes die', 4, [0, 500]],
  ['machine dies', 3, 'long'],
  // The leader's lease is 2 s.
  ['process paused', 3, [200, 1300]],
  ['process paused for seconds', 3, [2500, 4000]],
  ['process paused for long', 1, 'long'],
  ['cut off', 5, [500, 6500]],
  ['cut off for long', 2, 'long'],
  ['database dies', 3, [200, 5000]],
];

interface Fault {
  readonly kind: FaultKind;
  readonly lastsMs: number;
  /** Index of the machine; not of `database dies`. */
  readonly victim: number;
}

/** @param givenUpMs after how long a gateway that is away is given up */
export function drawFault(random: Random, machines: number, givenUpMs: number): Fault {
  const [kind, , lasts] = random.weighted(KINDS.map((one) => [one, one[1]] as const));
  const [leastMs, moreMs] = lasts === 'long' ? [givenUpMs + LONGER_MS, 2000] : lasts;
  return { kind, lastsMs: leastMs + random.below(moreMs), victim: random.below(machines) };
}

/** Whether media hosts live on, so that phones get a packet each 20 ms all the time. */
export const leavesHosts = ({ kind }: Fault): boolean =>
  kind !== 'all processes die' && kind !== 'machine dies';

export async function strike({ kind }: Fault, victim: Machine, database: PostgresServer): Promise<void> {
  switch (kind) {
    case 'process dies':
      return victim.kill(false);
    case 'all processes die':
      return victim.kill(true);
    case 'machine dies':
      // First the cable: otherwise its system would refuse connections in the place of the gateway.
      victim.cut();
      return victim.kill(true);
    case 'process paused':
    case 'process paused for seconds':
    case 'process paused for long':
      victim.pause();
      return;
    case 'cut off':
    case 'cut off for long':
      victim.cut();
      return;
    case 'database dies':
      return database.kill();
  }
}

export async function undo({ kind }: Fault, victim: Machine, database: PostgresServer): Promise<void> {
  switch (kind) {
    case 'process dies':
    case 'all processes die':
      return victim.start();
    case 'machine dies':
      victim.join();
      return victim.start();
    case 'process paused':
    case 'process paused for seconds':
    case 'process paused for long':
      victim.resume();
      return;
    case 'cut off':
    case 'cut off for long':
      victim.join();
      return;
    case 'database dies':
      return database.again();
  }
}
