import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silentLog } from '../../shared/testing/index.js';
import { opus, Streams } from '../pipe/testing/two-ends.js';
import { HostCrossings } from './index.js';

const LOOPBACK = '127.0.0.1';
const [THERE, BACK] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];

describe('the pipes of a host with hosts of other gateways', () => {
  let [left, right]: Streams[] = [];
  let here: HostCrossings;
  let other: HostCrossings;
  let port: number;
  beforeEach(async () => {
    left = new Streams();
    right = new Streams();
    here = new HostCrossings({ streams: left, log: silentLog });
    other = new HostCrossings({ streams: right, log: silentLog });
    port = (await here.listen(LOOPBACK))!;
    left.publish('s', opus());
    left.publish('t', opus('t'));
  });
  afterEach(async () => {
    vi.useRealTimers();
    await Promise.all([here.close(), other.close()]);
  });

  const send = (streamIds: readonly string[], key = THERE, remote = 'other'): void =>
    here.set([{ remote, sends: { key, streamIds } }], false);
  const receive = (key = THERE): void =>
    other.set([{ remote: 'here', receives: { key, host: LOOPBACK, port } }], false);
  const untilConnected = async (connections: number): Promise<void> => {
    await vi.waitUntil(
      () => here.counters().connected === 1 && other.counters().connections === connections,
      { timeout: 10_000 },
    );
  };

  it('carry the streams that they are to, and are not touched by what has not changed', async () => {
    send(['s']);
    receive();
    await right!.until('s');
    expect(right!.get('t')).toBeUndefined();
    send(['t', 's']);
    receive();
    here.set([{ remote: 'other', sends: { key: THERE, streamIds: ['t'] } }], true);
    await right!.until('t');
    await right!.untilGone('s');
    expect(other.counters()).toMatchObject({ connected: 1, connections: 1 });
    expect(other.counters().bytesReceived).toBe(here.counters().bytesSent);
  });

  it('carry streams back by a pipe of their own', async () => {
    const back = await other.listen(LOOPBACK);
    right!.publish('answer', opus('answer'));
    here.set(
      [
        {
          remote: 'other',
          sends: { key: THERE, streamIds: ['s'] },
          receives: { key: BACK, host: LOOPBACK, port: back! },
        },
      ],
      true,
    );
    other.set(
      [
        {
          remote: 'here',
          sends: { key: BACK, streamIds: ['answer'] },
          receives: { key: THERE, host: LOOPBACK, port },
        },
      ],
      true,
    );
    await Promise.all([right!.until('s'), left!.until('answer')]);
  });

  it('stay for a while when nothing goes by them, and are closed then', async () => {
    send(['s']);
    receive();
    await right!.until('s');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    here.set([], true);
    other.set([], true);
    await vi.advanceTimersByTimeAsync(59_000);
    // It is needed again.
    send(['s']);
    receive();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(other.counters()).toMatchObject({ connected: 1, connections: 1 });
    here.set([], true);
    other.set([], true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([here.counters().connected, other.counters().connected]).toEqual([0, 0]);
    expect(here.counters()).toMatchObject({ connections: 1 });
  });

  it('are made anew with another key', async () => {
    send(['s']);
    receive();
    await untilConnected(1);
    send(['s'], BACK);
    receive(BACK);
    await untilConnected(2);
    await right!.until('s');
  });

  it('end with the address at which the host takes them, and are made again at the next one', async () => {
    send(['s']);
    receive();
    await right!.until('s');
    expect(await here.listen(LOOPBACK)).toBe(port);
    expect(await here.listen(undefined)).toBeUndefined();
    await right!.untilGone('s');
    // No address of this machine (RFC 5737).
    const errors: object[] = [];
    const lost = new HostCrossings({
      streams: left!,
      log: { ...silentLog, error: (fields) => void errors.push(fields) },
    });
    expect(await lost.listen('192.0.2.1')).toBeUndefined();
    expect(errors).toMatchObject([{ host: '192.0.2.1' }]);
    port = (await here.listen(LOOPBACK))!;
    send(['s']);
    receive();
    await right!.until('s');
  });

  it('are for none but those who have the key, and cannot be kept up by strangers', async () => {
    send(['s']);
    const strangers: Socket[] = [];
    for (let n = 0; n < 200; n += 1) {
      const stranger = connect(port, LOOPBACK).on('error', () => undefined);
      strangers.push(stranger);
      await once(stranger, 'connect');
    }
    // They hold all places for greetings and say nothing; the host takes no notice.
    receive();
    await right!.until('s');
    await vi.waitUntil(() => here.counters().refused >= 200 - 64);
    const heard = vi.fn();
    for (const stranger of strangers) stranger.on('data', heard);
    strangers.at(-1)!.write(Buffer.concat([Buffer.from('PBP2'), randomBytes(64)]));
    await once(strangers.at(-1)!.resume(), 'close');
    expect(heard).not.toHaveBeenCalled();
    for (const stranger of strangers) stranger.destroy();
    expect(here.counters()).toMatchObject({ connected: 1 });
  });
});
