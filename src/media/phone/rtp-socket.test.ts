import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { rtpPacket } from '../rtp/testing/packets.js';
import { writeRtcpReport } from '../rtp/index.js';
import { PortRange } from './ports.js';
import { RtpSocket } from './rtp-socket.js';

/** One end of a conversation, with whatever was said to it. */
async function openEnd(): Promise<{ socket: Socket; port: number; heard: Buffer[] }> {
  const socket = createSocket('udp4');
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, port: socket.address().port, heard };
}

describe('the UDP end of a phone', () => {
  let now: number;
  let ends: Socket[];
  let gateway: RtpSocket;
  let rtp: number;
  let rtcp: number;
  const open = async (): Promise<Awaited<ReturnType<typeof openEnd>>> => {
    const end = await openEnd();
    ends.push(end.socket);
    return end;
  };
  /** Sends packets one by one, each after the one before has arrived. */
  const send = async (end: { socket: Socket }, count = 1): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const known = rtp + gateway.strangers;
      end.socket.send(rtpPacket({ sequence: i, timestamp: 0 }), gateway.port, '127.0.0.1');
      await vi.waitUntil(() => rtp + gateway.strangers > known, { timeout: 2000, interval: 2 });
    }
  };
  const answerArrives = async (end: { socket: Socket }): Promise<void> => {
    const arrived = once(end.socket, 'message', { signal: AbortSignal.timeout(2000) });
    gateway.send(rtpPacket({ sequence: 1, timestamp: 0 }));
    await arrived;
  };

  beforeEach(async () => {
    now = 1000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    ends = [];
    rtp = 0;
    rtcp = 0;
    gateway = new RtpSocket(await new PortRange([26000, 27999]).bind('127.0.0.1'), {
      onRtp: () => {
        rtp += 1;
        return true;
      },
      onRtcp: () => (rtcp += 1),
    });
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await gateway.close();
    for (const socket of ends) socket.close();
  });

  it('believes the announced address at once, and others after three packets', async () => {
    const [phone, stranger] = [await open(), await open()];
    gateway.setPeer({ address: '127.0.0.1', port: phone.port }, undefined, false);
    await send(stranger, 2);
    expect([rtp, gateway.strangers]).toEqual([0, 2]);
    await answerArrives(phone);
    await send(stranger);
    await answerArrives(stranger);
    await send(phone);
    await answerArrives(phone);
  });

  it('keeps a found source once the announced one had its time', async () => {
    const [announced, found] = [await open(), await open()];
    gateway.setPeer({ address: '127.0.0.1', port: announced.port }, undefined, false);
    await send(found, 3);
    now += 6000;
    await send(found);
    await send(announced, 3);
    await answerArrives(found);
    expect(announced.heard).toEqual([]);
  });

  it('follows the same address to another port after a silence, and not before', async () => {
    const [phone, rebound] = [await open(), await open()];
    gateway.setPeer({ address: '127.0.0.1', port: phone.port }, undefined, false);
    await send(phone);
    now += 1000;
    gateway.maintain(now);
    rebound.socket.send(rtpPacket({ sequence: 1, timestamp: 0 }), gateway.port, '127.0.0.1');
    await answerArrives(phone);
    expect(rtp).toBe(1);
    now += 4000;
    gateway.maintain(now);
    await send(rebound);
    await answerArrives(rebound);
  });

  it('ignores for a while what comes from where the phone was', async () => {
    const [before, after] = [await open(), await open()];
    gateway.setPeer({ address: '127.0.0.1', port: before.port }, undefined, false);
    await send(before);
    gateway.setPeer({ address: '127.0.0.1', port: after.port }, undefined, false);
    await send(before, 5);
    await answerArrives(after);
    now += 3000;
    await send(before, 4);
    await answerArrives(before);
  });

  it('takes RTCP from the phone’s address, and sends it to the announced port', async () => {
    const [phone, reports] = [await open(), await open()];
    gateway.setPeer(
      { address: '127.0.0.1', port: phone.port },
      { address: '127.0.0.1', port: reports.port },
      false,
    );
    const report = writeRtcpReport({ ssrc: 1, blocks: [], cname: 'x' });
    reports.socket.send(report, gateway.port + 1, '127.0.0.1');
    await vi.waitUntil(() => rtcp === 1, { timeout: 2000 });
    gateway.sendRtcp(report);
    await vi.waitUntil(() => reports.heard.length === 1, { timeout: 2000 });
  });

  it('does not look at huge datagrams', async () => {
    const phone = await open();
    gateway.setPeer({ address: '127.0.0.1', port: phone.port }, undefined, false);
    phone.socket.send(Buffer.alloc(5000, 0x80), gateway.port, '127.0.0.1');
    await vi.waitUntil(() => gateway.strangers === 1, { timeout: 2000 });
    expect(rtp).toBe(0);
  });
});
