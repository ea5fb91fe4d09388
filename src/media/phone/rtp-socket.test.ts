import { describe, expect, it, vi } from 'vitest';
import { rtpPacket } from '../rtp/testing/packets.js';
import { PHONE, PRIVATE, REPORT, SIP_HOST, STRANGER, useSocketStage } from './testing/socket-stage.js';

describe('the UDP end of a phone', () => {
  const useStage = useSocketStage();

  it.each([
    ['another port', PHONE],
    ['another host', SIP_HOST],
  ])('sends to the announced address of an asymmetric phone that sends from %s', async (_what, host) => {
    const stage = useStage();
    const { open, announceMedia, send, answerArrives } = stage;
    const receiving = await open();
    const sending = await open(host);
    announceMedia({ announced: receiving, asymmetric: true, signallingHost: host });
    await send(sending, 5);
    expect(stage.rtp).toBeGreaterThan(0);
    await answerArrives(receiving);
    stage.gateway.maintain(stage.now + 1000);
    await answerArrives(receiving);
    // A phone on hold announces no address: it keeps the one before.
    announceMedia({ announced: undefined, signallingHost: host });
    await answerArrives(receiving);
    expect(sending.heard).toEqual([]);
    // A phone that is not configured as asymmetric counts as one behind NAT.
    announceMedia({ announced: { address: receiving.address, port: receiving.port }, asymmetric: false });
    await send(sending, 5);
    await answerArrives(sending);
  });

  describe('the kernel keeps others out', () => {
    it('while the phone is heard from its announced address', async () => {
      const { open, announce, send, keepsOut } = useStage();
      const [phone, stranger] = [await open(), await open(STRANGER)];
      announce(phone);
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('while the packets are authentic', async () => {
      const { open, announceMedia, send, keepsOut } = useStage();
      const [phone, stranger] = [await open(SIP_HOST), await open(STRANGER)];
      announceMedia({ announced: PRIVATE, secure: true });
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('while the phone is heard from the SIP host and no packet can come from its announced address', async () => {
      const { open, announce, send, keepsOut } = useStage();
      const [phone, stranger] = [await open(SIP_HOST), await open(STRANGER)];
      announce(PRIVATE, SIP_HOST);
      await send(phone);
      expect(await keepsOut(stranger, phone)).toBe(true);
    });

    it('but not while a better source may still appear', async () => {
      const stage = useStage();
      const { open, announce, send, keepsOut } = stage;
      const [announced, found, natted] = [await open(), await open(STRANGER), await open(SIP_HOST)];
      announce(announced, SIP_HOST);
      await send(found, 3);
      stage.now += 10_000;
      expect(await keepsOut(natted, found)).toBe(false);
      await send(natted);
      stage.now += 1000;
      expect(await keepsOut(found, natted)).toBe(false);
    });
  });

  describe('RTCP', () => {
    it('is accepted from the phone’s host and sent to the announced port', async () => {
      const stage = useStage();
      const { open, announceMedia } = stage;
      const [phone, reports, stranger] = [await open(), await open(), await open(STRANGER)];
      announceMedia({ announced: phone, rtcp: reports });
      stage.consent.heard(true);
      stranger.socket.send(REPORT, stage.gateway.port + 1, PHONE);
      await vi.waitUntil(() => stage.gateway.strangers === 1, { timeout: 2000 });
      expect(stage.rtcp).toBe(0);
      reports.socket.send(REPORT, stage.gateway.port + 1, PHONE);
      await vi.waitUntil(() => stage.rtcp === 1, { timeout: 2000 });
      stage.gateway.sendRtcp(REPORT);
      await vi.waitUntil(() => reports.heard.length === 1, { timeout: 2000 });
    });

    it('of the announced host ends the belief in a stranger', async () => {
      const stage = useStage();
      const { open, announceMedia, send, answerArrives } = stage;
      const [phone, reports, stranger] = [await open(), await open(), await open(STRANGER)];
      announceMedia({ announced: phone, rtcp: reports });
      await send(stranger, 3);
      await answerArrives(stranger);
      reports.socket.send(REPORT, stage.gateway.port + 1, PHONE);
      await vi.waitUntil(() => stage.rtcp === 1, { timeout: 2000 });
      await answerArrives(phone);
      await send(stranger, 5);
      await answerArrives(phone);
    });

    it('is sent to another host that the SDP names only after that host has sent some', async () => {
      const stage = useStage();
      const { open, announceMedia, send, answerArrives } = stage;
      const [phone, victim] = [await open(), await open(STRANGER)];
      announceMedia({ announced: phone, rtcp: victim });
      await send(phone);
      stage.gateway.sendRtcp(REPORT);
      await answerArrives(phone);
      expect(victim.heard).toEqual([]);
      victim.socket.send(REPORT, stage.gateway.port + 1, PHONE);
      await vi.waitUntil(() => stage.rtcp === 1, { timeout: 2000 });
      stage.gateway.sendRtcp(REPORT);
      await vi.waitUntil(() => victim.heard.length === 1, { timeout: 2000 });
    });
  });

  it('sends nothing before the call is acknowledged or the phone is heard', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [phone, natted] = [await open(), await open(SIP_HOST)];
    await stage.gateway.close();
    await stage.openGateway(false);
    announce(phone, SIP_HOST);
    expect(stage.gateway.maySend(stage.now)).toBe(false);
    stage.gateway.send(rtpPacket({ sequence: 1, timestamp: 0 }));
    stage.gateway.sendRtcp(REPORT);
    await send(natted);
    await answerArrives(natted);
    expect(phone.heard).toEqual([]);
  });

  it('notices when the system refuses its packets', async () => {
    const { open, announce, send, gateway } = useStage();
    const phone = await open();
    announce(phone);
    await send(phone);
    const larger = Buffer.alloc(65_536);
    for (let i = 0; i < 100; i += 1) gateway.send(larger);
    await vi.waitUntil(() => gateway.sendErrors > 0, { timeout: 2000 });
  });

  it('drops huge datagrams unread', async () => {
    const stage = useStage();
    const { open, announce } = stage;
    const phone = await open();
    announce(phone);
    phone.socket.send(Buffer.alloc(5000, 0x80), stage.gateway.port, PHONE);
    await vi.waitUntil(() => stage.gateway.strangers === 1, { timeout: 2000 });
    expect(stage.rtp).toBe(0);
  });
});
