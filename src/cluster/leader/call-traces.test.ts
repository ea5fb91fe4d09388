import { describe, expect, it } from 'vitest';
import type { CallTrace } from '../../core/index.js';
import { connectLocally, type Desk, type Edge } from '../index.js';
import type { FromLeader } from '../messages.js';
import { Cluster } from '../testing/cluster-stage.js';

/** Longer than an edge may take to answer. */
const TOO_LONG_MS = 2_000;
const GIVEN_UP_MS = 13_000;

/** A trace with a message at each of these times. */
const traceOf = (left: number, ...times: readonly number[]): CallTrace => ({
  messages: times.map((at) => ({
    at,
    direction: 'in',
    from: 'udp/192.0.2.9:5060',
    to: 'udp/198.51.100.1:5060',
    method: 'INVITE',
    summary: 'INVITE',
    text: `INVITE at ${at}`,
    repeated: false,
  })),
  left,
});

/** Edges that have traces of calls of the account `one`, and a leader. */
class Scene {
  readonly cluster = new Cluster();
  readonly leader = this.cluster.leader();
  /** How often an edge was asked. */
  readonly asked: string[] = [];

  /** @param kept by the Call-ID */
  edge(edgeId: string, kept: Record<string, CallTrace> = {}): Edge {
    const known = new Map(Object.entries(kept));
    const nothing = (): void => undefined;
    const keyOf = (accountId: string, id: string): string => (accountId === 'one' ? id : '');
    return this.cluster.edge(edgeId, {
      traces: {
        ...{ connected: nothing, carriedOver: nothing, left: nothing, callFailed: nothing },
        of: (accountId, id) => {
          this.asked.push(edgeId);
          return known.get(keyOf(accountId, id));
        },
        delete: (accountId, id) => known.delete(keyOf(accountId, id)),
      },
    });
  }

  /** @returns what ends the connection */
  async connect(edge: Edge, desk: Pick<Desk, 'accept'> = this.leader.desk): Promise<() => void> {
    const cut = connectLocally(edge, desk);
    await this.leader.commit();
    return cut;
  }

  /** An edge that gets no command until it is told to go on. */
  async connectSilent(edge: Edge): Promise<{ readonly goOn: () => void; readonly cut: () => void }> {
    let held: FromLeader[] | undefined = [];
    let goOn = (): void => undefined;
    const cut = await this.connect(edge, {
      accept: (link) => {
        goOn = () => {
          const messages = held ?? [];
          held = undefined;
          for (const message of messages) link.send(message);
        };
        const send = (message: FromLeader): void => {
          if (held && message.type === 'command') held.push(message);
          else link.send(message);
        };
        return this.leader.desk.accept({ send, close: () => link.close() });
      },
    });
    return { goOn: () => goOn(), cut };
  }

  of(callId: string, account = 'one'): Promise<CallTrace | undefined> {
    return this.leader.desk.traces.of(account, callId);
  }
  delete(callId: string, account = 'one'): Promise<boolean> {
    return this.leader.desk.traces.delete(account, callId);
  }

  /** What was asked is on its way. */
  async tooLong(): Promise<void> {
    await this.leader.commit();
    this.cluster.clock.advance(TOO_LONG_MS);
  }
}

const timesOf = (trace: CallTrace | undefined): readonly number[] | undefined =>
  trace?.messages.map(({ at }) => at);

describe('the leader', () => {
  it('has the messages of a call from whichever edges had it, by time', async () => {
    const scene = new Scene();
    await scene.connect(scene.edge('near', { moved: traceOf(2, 5, 6, 9), near: traceOf(0, 1) }));
    await scene.connect(scene.edge('far', { moved: traceOf(1, 7, 8), far: traceOf(0, 2) }));
    await scene.connect(scene.cluster.edge('keeps nothing'));
    expect(await scene.of('near')).toEqual(traceOf(0, 1));
    expect(timesOf(await scene.of('far'))).toEqual([2]);
    expect(await scene.of('moved')).toEqual(traceOf(3, 5, 6, 7, 8, 9));
    expect(await scene.of('unknown')).toBeUndefined();
    expect(await scene.of('moved', 'two')).toBeUndefined();
  });

  it('has them forgotten at all edges', async () => {
    const scene = new Scene();
    await scene.connect(scene.edge('near', { moved: traceOf(0, 5) }));
    await scene.connect(scene.edge('far', { moved: traceOf(0, 7), other: traceOf(0, 1) }));
    expect(await scene.delete('moved', 'two')).toBe(false);
    expect(await scene.delete('moved')).toBe(true);
    expect(await scene.delete('moved')).toBe(false);
    expect([await scene.of('moved'), timesOf(await scene.of('other'))]).toEqual([undefined, [1]]);
  });

  it('does without an edge that does not answer in time, and asks it again when it has answered', async () => {
    const scene = new Scene();
    const silent = await scene.connectSilent(scene.edge('silent', { moved: traceOf(0, 5) }));
    await scene.connect(scene.edge('far', { moved: traceOf(0, 7) }));
    const asking = scene.of('moved');
    let isOver = false;
    void asking.then(() => (isOver = true));
    await scene.leader.commit();
    scene.cluster.clock.advance(TOO_LONG_MS - 1);
    await scene.leader.commit();
    expect(isOver).toBe(false);
    scene.cluster.clock.advance(1);
    expect(timesOf(await asking)).toEqual([7]);
    // Nobody waits for it once more while it owes an answer.
    expect(timesOf(await scene.of('moved'))).toEqual([7]);
    await expect(scene.delete('moved')).rejects.toMatchObject({ code: 'PATCHBAY_NO_LEADER' });
    silent.goOn();
    await scene.leader.commit();
    expect(scene.asked.filter((edge) => edge === 'silent')).toHaveLength(1);
    expect(timesOf(await scene.of('moved'))).toEqual([5]);
    expect(await scene.delete('moved')).toBe(true);
  });

  it('does without an edge whose connection ends, at once', async () => {
    const scene = new Scene();
    const near = scene.edge('near', { moved: traceOf(0, 5) });
    const silent = await scene.connectSilent(near);
    await scene.connect(scene.edge('far', { moved: traceOf(0, 7) }));
    const asking = scene.of('moved');
    await scene.leader.commit();
    silent.cut();
    expect(timesOf(await asking)).toEqual([7]);
    expect(timesOf(await scene.of('moved'))).toEqual([7]);
    // It may come back with what is to be forgotten, until it is given up.
    await expect(scene.delete('moved')).rejects.toMatchObject({ code: 'PATCHBAY_NO_LEADER' });
    await scene.connect(near);
    expect(await scene.delete('moved')).toBe(true);
  });

  it('forgets without an edge that was given up', async () => {
    const scene = new Scene();
    const cut = await scene.connect(scene.edge('near'));
    await scene.connect(scene.edge('far', { moved: traceOf(0, 7) }));
    cut();
    scene.cluster.clock.advance(GIVEN_UP_MS);
    await scene.leader.commit();
    expect(await scene.delete('moved')).toBe(true);
  });

  it('asks for few calls at a time, in the order in which they came, and refuses too many', async () => {
    const scene = new Scene();
    await scene.connect(scene.edge('near', { call: traceOf(0, 1) }));
    const silent = await scene.connectSilent(scene.edge('silent', { call: traceOf(0, 2) }));
    const answers = Array.from({ length: 204 }, () => scene.of('call'));
    await expect(scene.of('call')).rejects.toMatchObject({ code: 'PATCHBAY_OVERLOADED' });
    await scene.leader.commit();
    expect(scene.asked).toEqual(['near', 'near', 'near', 'near']);
    await scene.tooLong();
    const all = (await Promise.all(answers)).map(timesOf);
    expect(all).toEqual(Array.from({ length: 204 }, () => [1]));
    // None of those who came later had to wait for the silent one.
    silent.goOn();
    await scene.leader.commit();
    expect(scene.asked.filter((edge) => edge === 'silent')).toHaveLength(4);
    expect(timesOf(await scene.of('call'))).toEqual([1, 2]);
  });
});
