import { createCore } from '../../core/index.js';
import { ACCOUNT, FakeDevice, newParticipant, TOKEN_SECRET } from '../../core/testing/index.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { Ledger } from '../../usage/ledger.js';
import { connectLocally, Desk, Edge } from '../index.js';
import { SimDatabase, SimStore } from './simulation/index.js';

export const AUDIO = [{ streamId: 's', mediaTypes: ['audio'] }] as const;

type DeskOptions = Partial<ConstructorParameters<typeof Desk>[0]>;

/** Leaders after one another over one database. */
export class Cluster {
  readonly clock = new FakeClock();
  readonly #database = new SimDatabase();

  leader(options: DeskOptions = {}) {
    const { clock } = this;
    this.#database.epoch += 1;
    const epoch = this.#database.epoch;
    const store = new SimStore(this.#database, epoch);
    const core = createCore({ tokenSecret: TOKEN_SECRET, store, clock, log: silentLog });
    const left: string[] = [];
    core.on('left', ({ device, reason }) => left.push(`${device.id} ${reason}`));
    const ledger = new Ledger({ core, store, clock, retentionMs: 1e12 });
    const isMissing = (participantId: string): boolean => ledger.isMissing(participantId);
    const desk = new Desk({ core, epoch, store, calls: store, isMissing, clock, log: silentLog, ...options });
    void desk.accounted.then(() => ledger.closeCrashed());
    return { core, desk, store, left, commit: () => commit(store) };
  }

  edge(edgeId: string, options: Partial<ConstructorParameters<typeof Edge>[0]> = {}): Edge {
    const { clock } = this;
    return new Edge({ edgeId, process: 'p1', recognizes: () => true, clock, log: silentLog, ...options });
  }

  edgeRows(): readonly string[] {
    return [...this.#database.rows.edge.keys()];
  }
}

/** Writes what waits, and what that leads to. */
async function commit(store: SimStore): Promise<void> {
  do {
    store.commit();
    await new Promise((resolve) => setImmediate(resolve));
  } while (store.hasPending);
}

export type Leader = ReturnType<Cluster['leader']>;

export async function connect(
  edge: Edge,
  { desk, commit }: { readonly desk: Pick<Desk, 'accept'>; readonly commit: () => Promise<void> },
): Promise<() => void> {
  const close = connectLocally(edge, desk);
  await commit();
  return close;
}

/** Two participants that hear each other. */
export function couple({ core }: Leader): [string, string] {
  const session = core.createSession(ACCOUNT, {}).id;
  const both = [newParticipant(core), newParticipant(core)] as [string, string];
  for (const id of both) core.addToSession(ACCOUNT, session, id, { sessionId: session });
  return both;
}

export async function device(edge: Edge, { core, commit }: Leader, participantId: string, id: string) {
  const fake = new FakeDevice(id, 'phone', { hold: true });
  const participant = core.participant(ACCOUNT, participantId);
  const connection = edge.connect(participant, fake, { replace: true });
  await commit();
  await connection.admitted;
  return { fake, connection };
}
