import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { rtpPacket } from '../rtp/testing/packets.js';
import { writeRtcpReport } from '../rtp/index.js';
import { PortRange } from './ports.js';
import { RtpSocket } from './rtp-socket.js';
import type { DescribedMedia } from './rtp-socket.js';
import { SendConsent } from './send-consent.js';

const PHONE = '127.0.0.1';
const STRANGER = '127.0.0.2';
/** Where SIP messages come from when it is not where the media are announced. */
const SIP_HOST = '127.0.0.3';
/** Behind NAT: nothing can come from there. */
const PRIVATE = { address: '10.9.9.9', port: 4000 };

/** One end of a conversation, with whatever was said to it. */
interface End {
  readonly socket: Socket;
  readonly address: string;
  readonly port: number;
  readonly heard: Buffer[];
}

async function openEnd(host: string): Promise<End> {
  const socket = createSocket('udp4');
  const heard: Buffer[] = [];
  socket.on('message', (packet) => heard.push(packet));
  socket.bind(0, host);
  await once(socket, 'listening');
  return { socket, address: host, port: socket.address().port, heard };
}

describe('the UDP end of a phone', () => {
  let now: number;
  let ends: Socket[];
  let gateway: RtpSocket;
  let consent: SendConsent;
  let rtp: number;
  let rtcp: number;
  /** What makes a packet authentic, where it has to be. */
  let isAuthentic: (packet: Buffer) => boolean;
  const open = async (host = PHONE): Promise<End> => {
    const end = await openEnd(host);
    ends.push(end.socket);
    return end;
  };
  const describe_ = (media: Partial<DescribedMedia>): void =>
    gateway.describe({ mux: false, secure: false, announcedOnly: false, ...media });
  const announce = ({ address, port }: { address: string; port: number }, signallingHost?: string): void =>
    describe_({ announced: { address, port }, signallingHost });
  /** Sends packets one by one, each after the one before has arrived. */
  const send = async (end: End, count = 1, mark = 0): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const known = rtp + gateway.strangers;
      end.socket.send(rtpPacket({ sequence: i, timestamp: mark }), gateway.port, PHONE);
      await vi.waitUntil(() => rtp + gateway.strangers > known, { timeout: 2000, interval: 2 });
    }
  };
  /** Sends packets that the kernel may keep out. */
  const sendUnseen = (end: End, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      end.socket.send(rtpPacket({ sequence: i, timestamp: 0 }), gateway.port, PHONE);
    }
  };
  const answerArrives = async (end: End): Promise<void> => {
    const arrived = once(end.socket, 'message', { signal: AbortSignal.timeout(2000) });
    gateway.send(rtpPacket({ sequence: 1, timestamp: 0 }));
    await arrived;
  };
  /** Whether the kernel keeps others out: they are not even seen, while the phone is. */
  const keepsOut = async (stranger: End, phone: End): Promise<boolean> => {
    gateway.maintain(now);
    const seen = gateway.strangers;
    stranger.socket.send(rtpPacket({ sequence: 1, timestamp: 0 }), gateway.port, PHONE);
    await send(phone);
    return gateway.strangers === seen;
  };
  const report = writeRtcpReport({ ssrc: 1, blocks: [], cname: 'x' });

  beforeEach(async () => {
    now = 100_000;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    ends = [];
    rtp = 0;
    rtcp = 0;
    isAuthentic = () => true;
    consent = new SendConsent();
    consent.signalled({ address: SIP_HOST, isDirect: true, isConnection: false }, true);
    const events = {
      onRtp: (packet: Buffer) => {
        rtp += 1;
        return isAuthentic(packet);
      },
      onRtcp: (packet: Buffer) => {
        rtcp += 1;
        return isAuthentic(packet);
      },
    };
    gateway = new RtpSocket(await new PortRange([26000, 27999]).bind(PHONE), events, consent);
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    await gateway.close();
    for (const socket of ends) socket.close();
  });

  describe('believes', () => {
    it('the announced address at once, and others after three packets, until it sends', async () => {
      const [phone, stranger] = [await open(), await open(STRANGER)];
      announce(phone);
      await send(stranger, 2);
      expect([rtp, gateway.strangers]).toEqual([0, 2]);
      await answerArrives(phone);
      await send(stranger);
      await answerArrives(stranger);
      await send(phone);
      await answerArrives(phone);
    });

    it('the announced address at any time, however long another was believed', async () => {
      const [phone, stranger] = [await open(), await open(STRANGER)];
      announce(phone);
      await send(stranger, 4);
      for (let s = 0; s < 10; s += 1) {
        now += 1000;
        gateway.maintain(now);
        await send(stranger);
      }
      await answerArrives(stranger);
      await send(phone);
      await answerArrives(phone);
    });

    it('no stranger once the phone was heard, not even after a long silence', async () => {
      const [phone, stranger] = [await open(), await open(STRANGER)];
      announce(phone);
      await send(phone);
      for (let s = 0; s < 6; s += 1) {
        now += 1000;
        gateway.maintain(now);
      }
      await send(stranger, 10);
      await answerArrives(phone);
      expect(stranger.heard).toEqual([]);
    });

    it('the host that SIP comes from at once, before all but the announced address', async () => {
      const [phone, stranger, natted] = [await open(), await open(STRANGER), await open(SIP_HOST)];
      announce(phone, SIP_HOST);
      await send(stranger, 4);
      await answerArrives(stranger);
      await send(natted);
      await answerArrives(natted);
      now += 10_000;
      gateway.maintain(now);
      await send(stranger, 10);
      await answerArrives(natted);
      for (let s = 0; s < 10; s += 1) {
        now += 1000;
        await send(natted);
        gateway.maintain(now);
      }
      await send(phone);
      await answerArrives(phone);
      sendUnseen(natted, 5);
      await answerArrives(phone);
    });

    it('the same host with another port after a silence, and not before', async () => {
      const [phone, rebound] = [await open(), await open()];
      announce(phone);
      await send(phone);
      now += 1000;
      expect(await keepsOut(rebound, phone)).toBe(true);
      await answerArrives(phone);
      now += 4000;
      gateway.maintain(now);
      await send(rebound);
      await answerArrives(rebound);
      now += 1000;
      gateway.maintain(now);
      await send(phone);
      await answerArrives(phone);
    });

    it('a phone that neither SDP nor SIP know with another port of its host, and no other host', async () => {
      const [natted, rebound, stranger] = [await open(SIP_HOST), await open(SIP_HOST), await open(STRANGER)];
      announce(PRIVATE);
      await send(natted, 3);
      await answerArrives(natted);
      now += 4000;
      gateway.maintain(now);
      await send(stranger, 5);
      await answerArrives(natted);
      await send(rebound);
      await answerArrives(rebound);
    });

    it('whoever sends what is authentic, wherever it comes from, and nobody else', async () => {
      const [phone, stranger, elsewhere] = [await open(), await open(STRANGER), await open('127.0.0.4')];
      describe_({ announced: phone, secure: true });
      isAuthentic = (packet) => packet.readUInt32BE(4) === 7;
      await send(stranger, 5);
      await send(phone, 5);
      await answerArrives(phone);
      await send(elsewhere, 1, 7);
      await answerArrives(elsewhere);
      sendUnseen(stranger, 5);
      await answerArrives(elsewhere);
      expect(stranger.heard).toEqual([]);
      now += 4000;
      gateway.maintain(now);
      await send(stranger, 5);
      await answerArrives(elsewhere);
      await send(phone, 1, 7);
      await answerArrives(phone);
    });

    it('none but the announced address of FreeSWITCH', async () => {
      const [freeswitch, stranger, neighbour] = [await open(), await open(STRANGER), await open()];
      describe_({ announced: freeswitch, announcedOnly: true, signallingHost: STRANGER });
      consent.trust();
      await send(stranger, 10);
      await send(neighbour, 10);
      expect([rtp, gateway.strangers]).toEqual([0, 20]);
      await answerArrives(freeswitch);
      await send(freeswitch);
      now += 10_000;
      gateway.maintain(now);
      await send(neighbour, 5);
      await answerArrives(freeswitch);
    });

    it('for a while nothing that comes from where the phone was', async () => {
      const [before, after] = [await open(), await open()];
      announce(before);
      await send(before);
      announce(after);
      await send(before, 5);
      await answerArrives(after);
      now += 3000;
      await send(before, 4);
      await answerArrives(before);
      await send(after);
      await answerArrives(after);
    });
  });

  it.each([
    ['another port', PHONE],
    ['another host', SIP_HOST],
  ])('sends to where an asymmetric phone announces to be, though it sends from %s', async (_what, host) => {
    const receiving = await open();
    const sending = await open(host);
    describe_({ announced: receiving, asymmetric: true, signallingHost: host });
    await send(sending, 5);
    expect(rtp).toBeGreaterThan(0);
    await answerArrives(receiving);
    gateway.maintain(now + 1000);
    await answerArrives(receiving);
    // On hold it has no address: it is where it was.
    describe_({ announced: undefined, signallingHost: host });
    await answerArrives(receiving);
    expect(sending.heard).toEqual([]);
    // Without the operator's word it is taken for one behind NAT.
    describe_({ announced: { address: receiving.address, port: receiving.port }, asymmetric: false });
    await send(sending, 5);
    await answerArrives(sending);
  });

  describe('lets the kernel keep others out', () => {
    it('from the announced address', async () => {
      const [phone, stranger] = [await open(), await open(STRANGER)];
      announce(phone);
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('from one that is authentic', async () => {
      const [phone, stranger] = [await open(SIP_HOST), await open(STRANGER)];
      describe_({ announced: PRIVATE, secure: true });
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('from the SIP host when nothing can come from the announced address', async () => {
      const [phone, stranger] = [await open(SIP_HOST), await open(STRANGER)];
      announce(PRIVATE, SIP_HOST);
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('but not from one whose place another may take', async () => {
      const [announced, found, natted] = [await open(), await open(STRANGER), await open(SIP_HOST)];
      announce(announced, SIP_HOST);
      await send(found, 3);
      now += 10_000;
      expect(await keepsOut(natted, found)).toBe(false);
      await send(natted);
      now += 1000;
      expect(await keepsOut(found, natted)).toBe(false);
    });
  });

  describe('RTCP', () => {
    it('is taken from the phone’s host, and sent to the announced port', async () => {
      const [phone, reports, stranger] = [await open(), await open(), await open(STRANGER)];
      describe_({ announced: phone, rtcp: reports });
      consent.heard(true);
      stranger.socket.send(report, gateway.port + 1, PHONE);
      await vi.waitUntil(() => gateway.strangers === 1, { timeout: 2000 });
      expect(rtcp).toBe(0);
      reports.socket.send(report, gateway.port + 1, PHONE);
      await vi.waitUntil(() => rtcp === 1, { timeout: 2000 });
      gateway.sendRtcp(report);
      await vi.waitUntil(() => reports.heard.length === 1, { timeout: 2000 });
    });

    it('of the announced host takes the call back from a stranger', async () => {
      const [phone, reports, stranger] = [await open(), await open(), await open(STRANGER)];
      describe_({ announced: phone, rtcp: reports });
      await send(stranger, 3);
      await answerArrives(stranger);
      reports.socket.send(report, gateway.port + 1, PHONE);
      await vi.waitUntil(() => rtcp === 1, { timeout: 2000 });
      await answerArrives(phone);
      await send(stranger, 5);
      await answerArrives(phone);
    });

    it('is not sent to another host that the SDP names before that has sent some', async () => {
      const [phone, victim] = [await open(), await open(STRANGER)];
      describe_({ announced: phone, rtcp: victim });
      await send(phone);
      gateway.sendRtcp(report);
      await answerArrives(phone);
      expect(victim.heard).toEqual([]);
      victim.socket.send(report, gateway.port + 1, PHONE);
      await vi.waitUntil(() => rtcp === 1, { timeout: 2000 });
      gateway.sendRtcp(report);
      await vi.waitUntil(() => victim.heard.length === 1, { timeout: 2000 });
    });
  });

  it('sends nothing before the call is acknowledged or the phone is heard', async () => {
    const [phone, natted] = [await open(), await open(SIP_HOST)];
    consent = new SendConsent();
    consent.signalled({ address: SIP_HOST, isDirect: true, isConnection: false }, false);
    await gateway.close();
    const events = { onRtp: () => ((rtp += 1), true), onRtcp: () => true };
    gateway = new RtpSocket(await new PortRange([26000, 27999]).bind(PHONE), events, consent);
    announce(phone, SIP_HOST);
    expect(gateway.maySend(now)).toBe(false);
    gateway.send(rtpPacket({ sequence: 1, timestamp: 0 }));
    gateway.sendRtcp(report);
    await send(natted);
    await answerArrives(natted);
    expect(phone.heard).toEqual([]);
  });

  it('does not look at huge datagrams', async () => {
    const phone = await open();
    announce(phone);
    phone.socket.send(Buffer.alloc(5000, 0x80), gateway.port, PHONE);
    await vi.waitUntil(() => gateway.strangers === 1, { timeout: 2000 });
    expect(rtp).toBe(0);
  });
});
