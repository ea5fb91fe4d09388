import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import type { Core } from '../../core/index.js';
import { ACCOUNT, coreForTests, FakeDevice, newParticipant } from '../../core/testing/index.js';
import { type Log, systemClock } from '../../shared/index.js';
import { silentLog } from '../../shared/testing/index.js';
import { Desk, Edge, EdgeDoor, LeaderLine } from '../index.js';
import { PROTOCOL, PROTOCOL_HEADER } from './remote-link.js';

const SECRET = 'known to all gateways of the database';
const QUICK = { beatMs: 50, silentBeats: 4 };
const within = { withinMs: 20_000, everyMs: 5 };

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

type DoorOptions = Partial<ConstructorParameters<typeof EdgeDoor>[0]>;

/** A gateway that may lead. */
class Leader {
  readonly core: Core;
  readonly desk: Desk;
  readonly door: EdgeDoor;
  readonly epoch: number;
  readonly #server: Server;

  private constructor(core: Core, epoch: number, options: DoorOptions) {
    this.core = core;
    this.epoch = epoch;
    this.desk = new Desk({ core, epoch, clock: systemClock, log: silentLog });
    this.door = new EdgeDoor({ secret: SECRET, log: silentLog, ...options });
    this.#server = createServer().on('upgrade', (request, socket, head) =>
      this.door.upgrade(request, socket, head),
    );
  }

  static async start(core: Core, epoch = 1, options: DoorOptions = {}): Promise<Leader> {
    const leader = new Leader(core, epoch, options);
    leader.#server.listen(0, '127.0.0.1');
    await once(leader.#server, 'listening');
    closing.push(() => leader.stop());
    return leader;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${String(this.port)}`;
  }

  lead(): this {
    this.door.lead(this.desk);
    return this;
  }

  async stop(): Promise<void> {
    this.door.stop();
    this.desk.stop();
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** What the database says of the leader. */
class LeaseRow {
  leader: { epoch: number; address: string } | undefined;
  readonly listeners = new Set<() => void>();
  looks = 0;

  set({ epoch, address }: { epoch: number; address: string }): void {
    this.leader = { epoch, address };
    for (const listener of this.listeners) listener();
  }
}

class Lines implements Log {
  readonly lines: string[] = [];
  readonly debug = (): void => undefined;
  readonly info = this.#note.bind(this);
  readonly warn = this.#note.bind(this);
  readonly error = this.#note.bind(this);

  #note(fields: object, message: string): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
  }
}

function gateway(row: LeaseRow, { secret = SECRET, limits = {} } = {}) {
  const edge = new Edge({
    edgeId: 'e',
    process: 'p',
    recognizes: () => true,
    clock: systemClock,
    log: silentLog,
  });
  const log = new Lines();
  const line = new LeaderLine({
    edge,
    secret,
    findLeader: () => {
      row.looks += 1;
      return Promise.resolve(row.leader);
    },
    onLeader: (listener) => {
      row.listeners.add(listener);
      return () => void row.listeners.delete(listener);
    },
    log,
    limits,
  });
  closing.push(() => line.stop());
  return { edge, line, log };
}

const isConnected = (line: LeaderLine, wanted = true): Promise<true> =>
  until('the connection', () => (line.isConnected === wanted ? (true as const) : undefined), within);

describe('an edge and a leader on a WebSocket', () => {
  it('serve a device as in one process', async () => {
    const { core } = coreForTests();
    const leader = (await Leader.start(core)).lead();
    const row = new LeaseRow();
    const { edge, line } = gateway(row);
    edge.registerKind('phone');
    line.start();
    row.set(leader);
    await isConnected(line);
    const id = newParticipant(core);
    const participant = (await edge.participantOf(id))!;
    await expect(edge.authenticate('no token')).rejects.toMatchObject({ code: 'PATCHBAY_TOKEN_INVALID' });
    const dtmf: string[] = [];
    const device = new FakeDevice('d', 'phone', {
      sendDtmf: ({ digits }) => Promise.resolve(void dtmf.push(digits)),
    });
    const connection = edge.connect(participant, device, { replace: false });
    connection.publish([{ streamId: 's', mediaTypes: ['audio'] }]);
    await connection.admitted;
    await core.sendDtmf(ACCOUNT, id, { digits: '12' });
    expect(dtmf).toEqual(['12']);
    await until('the stream', () => core.device(ACCOUNT, id)?.streams.length === 1, within);
    core.disconnectDevice(ACCOUNT, id);
    await until('the end', () => device.closed.length > 0, within);
    expect(device.closed).toEqual(['disconnected']);
    expect(leader.door.counters()).toMatchObject({ connections: 1, refused: { secret: 0 } });
  });

  it('state 2,000 devices at once', async () => {
    const { core } = coreForTests();
    const leader = (await Leader.start(core)).lead();
    const row = new LeaseRow();
    const { edge, line } = gateway(row);
    const headers = { 'X-Long': 'x'.repeat(2_000) };
    const admitted = Array.from({ length: 2_000 }, (_, n) => {
      const participant = core.participant(ACCOUNT, newParticipant(core));
      const device = new FakeDevice(`d${String(n)}`, 'phone');
      Object.assign(device.info, { headers });
      return edge.connect(participant, device, { replace: false }).admitted;
    });
    line.start();
    row.set(leader);
    await Promise.all(admitted);
    expect(core.counts().devices).toEqual({ phone: 2_000 });
  });

  it('wait for one another: for a leader that does not lead yet, and for the next one after it', async () => {
    const { core } = coreForTests();
    const first = await Leader.start(core, 1);
    const row = new LeaseRow();
    const { edge, line, log } = gateway(row);
    line.start();
    expect(row.looks).toBe(0);
    row.set(first);
    await until('a refusal', () => first.door.counters().refused.noLeader > 1, within);
    first.lead();
    await isConnected(line);
    const participant = core.participant(ACCOUNT, newParticipant(core));
    const device = new FakeDevice('d', 'phone');
    await edge.connect(participant, device, { replace: false }).admitted;
    await first.stop();
    await isConnected(line, false);
    const next = (await Leader.start(coreForTests().core, 2)).lead();
    row.set(next);
    await until('the next leader', () => next.desk.edges()[0]?.isConnected, within);
    // It has no such participant.
    await until('the end of the device', () => device.closed.length > 0, within);
    expect(device.closed).toEqual(['participant-deleted']);
    // Attempts that fail are logged, each kind of failure once.
    expect(log.lines.filter((text) => text.includes('503'))).toHaveLength(1);
    expect(log.lines.join()).not.toContain(SECRET);
  });

  it('part when there is a newer leader, even if the older one does not know', async () => {
    const { core } = coreForTests();
    const old = (await Leader.start(core, 1)).lead();
    const row = new LeaseRow();
    const { line } = gateway(row);
    line.start();
    row.set(old);
    await isConnected(line);
    const next = (await Leader.start(core, 2)).lead();
    row.set(next);
    await until('the next leader', () => next.desk.edges()[0]?.isConnected, within);
    await until('the end with the old one', () => !old.desk.edges()[0]?.isConnected, within);
    // One that is older is not believed.
    row.set(old);
    await until('another look', () => row.looks >= 3, within);
    expect(next.desk.edges()[0]?.isConnected).toBe(true);
  });

  it('are connected in the process while it leads itself', async () => {
    const { core } = coreForTests();
    const other = (await Leader.start(core, 1)).lead();
    const row = new LeaseRow();
    const { edge, line } = gateway(row);
    line.start();
    row.set(other);
    await isConnected(line);
    const desk = new Desk({ core, epoch: 2, clock: systemClock, log: silentLog });
    line.goLocal(desk);
    expect(line.isConnected).toBe(true);
    expect(desk.edges()).toMatchObject([{ isConnected: true }]);
    await until('the end with the other', () => !other.desk.edges()[0]?.isConnected, within);
    const participant = core.participant(ACCOUNT, newParticipant(core));
    const connection = edge.connect(participant, new FakeDevice('d'), { replace: false });
    expect(core.connectedDevice(participant.id)?.id).toBe('d');
    const next = (await Leader.start(core, 3)).lead();
    row.set(next);
    expect(desk.edges()).toMatchObject([{ isConnected: true }]);
    line.goRemote();
    await until('the next leader', () => next.desk.edges()[0]?.isConnected, within);
    connection.end('left');
    await until('the end', () => core.connectedDevice(participant.id) === undefined, within);
    line.stop();
    expect(line.isConnected).toBe(false);
  });
});

describe('the door for edges', () => {
  async function refusal(
    address: string,
    headers: Record<string, string>,
    path = '/cluster/',
  ): Promise<string> {
    const socket = new WebSocket(`ws://${address}${path}`, { headers });
    const [error] = (await once(socket, 'error')) as [Error];
    return error.message;
  }

  const known = { authorization: `Bearer ${SECRET}`, [PROTOCOL_HEADER]: String(PROTOCOL) };

  it('lets nobody in without the secret', async () => {
    const leader = (await Leader.start(coreForTests().core)).lead();
    for (const authorization of ['', 'Bearer ', `Bearer ${SECRET}x`, SECRET, `Basic ${SECRET}`])
      expect(await refusal(leader.address, { ...known, authorization })).toContain('401');
    expect(await refusal(leader.address, known, '/other/')).toContain('404');
    expect(leader.door.counters()).toMatchObject({ connections: 0, refused: { secret: 5 } });
    const row = new LeaseRow();
    const { line, log } = gateway(row, { secret: 'another' });
    line.start();
    row.set(leader);
    await until('refusals', () => leader.door.counters().refused.secret > 7, within);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toContain('401');
  });

  it('says to a gateway of another version which one to upgrade', async () => {
    const leader = (await Leader.start(coreForTests().core)).lead();
    for (const [version, words] of [
      ['0', 'upgrade this gateway'],
      [String(PROTOCOL + 1), 'upgrade the leader'],
    ]) {
      const socket = new WebSocket(`ws://${leader.address}/cluster/`, {
        headers: { ...known, [PROTOCOL_HEADER]: version! },
      });
      const [code, reason] = (await once(socket, 'close')) as [number, Buffer];
      expect([code, String(reason)]).toEqual([4001, expect.stringContaining(words!)]);
    }
    expect(leader.door.counters().ended.version).toBe(2);
  });

  it('has room for a number of edges', async () => {
    const limits = { connections: 1 };
    const leader = (await Leader.start(coreForTests().core, 1, { limits })).lead();
    const socket = new WebSocket(`ws://${leader.address}/cluster/`, { headers: known });
    await once(socket, 'open');
    expect(await refusal(leader.address, known)).toContain('503');
    expect(leader.door.counters()).toMatchObject({ connections: 1, refused: { full: 1 } });
    socket.terminate();
    await until('room', () => leader.door.counters().connections === 0, within);
  });

  it.each([
    ['no JSON', 'hello'],
    ['no message', '{"type":"hello"}'],
    ['bytes', Buffer.from('{}')],
    ['a message before the hello', '{"type":"kind","kind":"phone"}'],
    ['what is too long', 'x'.repeat(3_000)],
  ])('ends the connection of who sends %s', async (_what, sent) => {
    const limits = { messageBytes: 2_000 };
    const leader = (await Leader.start(coreForTests().core, 1, { limits })).lead();
    const socket = new WebSocket(`ws://${leader.address}/cluster/`, { headers: known });
    await once(socket, 'open');
    socket.send(sent);
    await once(socket, 'close');
    await until('the end', () => leader.door.counters().connections === 0, within);
    expect(leader.desk.edges()).toEqual([]);
  });

  it('gives up who is silent, and lets it in again', async () => {
    const { core } = coreForTests();
    const leader = (await Leader.start(core, 1, { limits: QUICK })).lead();
    const relay = await TcpRelay.start(leader.port);
    closing.push(() => relay.stop());
    const row = new LeaseRow();
    const { edge, line, log } = gateway(row, { limits: QUICK });
    line.start();
    row.set({ epoch: 1, address: `127.0.0.1:${String(relay.port)}` });
    await isConnected(line);
    relay.stall();
    await until('silence at the leader', () => leader.door.counters().ended.silent > 0, within);
    await until('silence at the edge', () => log.lines.some((text) => text.includes('silent')), within);
    relay.letNewPass();
    await isConnected(line);
    await until('the edge', () => leader.desk.edges()[0]?.isConnected, within);
    // A process that was paused itself blames nobody for it.
    const silent = leader.door.counters().ended.silent;
    const pausedUntil = performance.now() + QUICK.beatMs * QUICK.silentBeats * 3;
    while (performance.now() < pausedUntil);
    for (let n = 0; n < 100; n += 1) await expect(edge.participantOf('nobody')).resolves.toBeUndefined();
    expect(leader.door.counters().ended.silent).toBe(silent);
    relay.release();
  });

  it('gives up who does not read, and tells it all the next time', async () => {
    const { core } = coreForTests();
    const leader = (await Leader.start(core, 1, { limits: { waitingBytes: 200_000 } })).lead();
    const relay = await TcpRelay.start(leader.port);
    closing.push(() => relay.stop());
    const row = new LeaseRow();
    const { edge, line } = gateway(row);
    line.start();
    row.set({ epoch: 1, address: `127.0.0.1:${String(relay.port)}` });
    await isConnected(line);
    const session = core.createSession(ACCOUNT, {}).id;
    const [heard, hearing] = [newParticipant(core), newParticipant(core)];
    for (const id of [heard, hearing]) core.addToSession(ACCOUNT, session, id, { sessionId: session });
    const speaker = core.connect(heard, new FakeDevice('speaker'), { replace: false });
    const device = new FakeDevice('d');
    const participant = core.participant(ACCOUNT, hearing);
    await edge.connect(participant, device, { replace: false }).admitted;
    relay.stallAnswers();
    let streams = 0;
    const more = (): boolean => {
      for (let n = 0; n < 200; n += 1) {
        streams += 1;
        const alias = 'long '.repeat(500);
        speaker.publish([{ streamId: `s${String(streams)}`, alias, mediaTypes: ['audio'] }]);
      }
      return leader.door.counters().ended.slow > 0;
    };
    await until('the edge that is slow', more, within);
    relay.letNewPass();
    relay.release();
    await until('the last stream', () => device.receiving[0] === `s${String(streams)}`, within);
  });
});
