import { afterEach, describe, expect, it } from 'vitest';
import { freeUdpPort } from '../../../test/support/ports.js';
import { type PortPair, PortRange } from './ports.js';

const PAIRS = 8;
/** An address of this test's own: at another one, other programs may take ports of the range. */
const HOST = `127.9.${(process.pid >> 8) & 0xff}.${process.pid & 0xff || 1}`;
const bound: PortPair[] = [];
afterEach(() => {
  for (const { rtp, rtcp } of bound.splice(0)) {
    rtp.close();
    rtcp.close();
  }
});

/** The shares of two media hosts in one range. */
async function twoHosts(): Promise<readonly [PortRange, PortRange]> {
  const first = (await freeUdpPort(HOST)) & ~1;
  const range = [first, first + 2 * PAIRS - 1] as const;
  return [new PortRange(range, { part: 0, of: 2 }), new PortRange(range, { part: 1, of: 2 })];
}

async function take(ports: PortRange, count: number): Promise<Set<number>> {
  const taken = new Set<number>();
  for (let i = 0; i < count; i += 1) {
    const pair = await ports.bind(HOST);
    bound.push(pair);
    taken.add(pair.port);
  }
  return taken;
}

describe('the ports of two media hosts', () => {
  it('stay free for a phone whose host has died, while the other host takes calls', async () => {
    const [one, other] = await twoHosts();
    const lost = await take(one, 3);
    // The system closes the sockets of a process that dies.
    for (const { rtp, rtcp } of bound.splice(0)) {
      rtp.close();
      rtcp.close();
    }
    const taken = await take(other, PAIRS / 2);
    expect([...taken].filter((port) => lost.has(port))).toEqual([]);
    for (const port of lost) bound.push(await other.bindAgain(HOST, port));
  });

  it('are all there for one of them when its own are taken', async () => {
    const [one] = await twoHosts();
    expect((await take(one, PAIRS)).size).toBe(PAIRS);
    await expect(one.bind(HOST)).rejects.toMatchObject({ code: 'NO_PORT' });
  });
});
