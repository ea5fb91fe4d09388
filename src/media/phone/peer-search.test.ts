import { describe, expect, it } from 'vitest';
import { PRIVATE, SIP_HOST, STRANGER, useSocketStage } from './testing/socket-stage.js';

describe('the search for a phone', () => {
  const useStage = useSocketStage();

  it('believes the announced address at once, and another after three packets', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [phone, stranger] = [await open(), await open(STRANGER)];
    announce(phone);
    await send(stranger, 2);
    expect([stage.rtp, stage.gateway.strangers]).toEqual([0, 2]);
    await answerArrives(phone);
    await send(stranger);
    await answerArrives(stranger);
    await send(phone);
    await answerArrives(phone);
  });

  it('goes to the announced address at its first packet, however long it believed another', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [phone, stranger] = [await open(), await open(STRANGER)];
    announce(phone);
    await send(stranger, 4);
    for (let s = 0; s < 10; s += 1) {
      stage.now += 1000;
      stage.gateway.maintain(stage.now);
      await send(stranger);
    }
    await answerArrives(stranger);
    await send(phone);
    await answerArrives(phone);
  });

  it('believes no stranger once it has heard the phone, not even after a long silence', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [phone, stranger] = [await open(), await open(STRANGER)];
    announce(phone);
    await send(phone);
    for (let s = 0; s < 6; s += 1) {
      stage.now += 1000;
      stage.gateway.maintain(stage.now);
    }
    await send(stranger, 10);
    await answerArrives(phone);
    expect(stranger.heard).toEqual([]);
  });

  it('believes the host of the SIP messages at once, and prefers only the announced address to it', async () => {
    const stage = useStage();
    const { open, announce, send, sendUnseen, answerArrives } = stage;
    const [phone, stranger, natted] = [await open(), await open(STRANGER), await open(SIP_HOST)];
    announce(phone, SIP_HOST);
    await send(stranger, 4);
    await answerArrives(stranger);
    await send(natted);
    await answerArrives(natted);
    stage.now += 10_000;
    stage.gateway.maintain(stage.now);
    await send(stranger, 10);
    await answerArrives(natted);
    for (let s = 0; s < 10; s += 1) {
      stage.now += 1000;
      await send(natted);
      stage.gateway.maintain(stage.now);
    }
    await send(phone);
    await answerArrives(phone);
    sendUnseen(natted, 5);
    await answerArrives(phone);
  });

  it('believes another port of the same host only after a silence', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives, keepsOut } = stage;
    const [phone, rebound] = [await open(), await open()];
    announce(phone);
    await send(phone);
    stage.now += 1000;
    expect(await keepsOut(rebound, phone)).toBe(true);
    await answerArrives(phone);
    stage.now += 4000;
    stage.gateway.maintain(stage.now);
    await send(rebound);
    await answerArrives(rebound);
    stage.now += 1000;
    stage.gateway.maintain(stage.now);
    await send(phone);
    await answerArrives(phone);
  });

  it('follows a phone that neither SDP nor SIP names to another port, but not to another host', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [natted, rebound, stranger] = [await open(SIP_HOST), await open(SIP_HOST), await open(STRANGER)];
    announce(PRIVATE);
    await send(natted, 3);
    await answerArrives(natted);
    stage.now += 4000;
    stage.gateway.maintain(stage.now);
    await send(stranger, 5);
    await answerArrives(natted);
    await send(rebound);
    await answerArrives(rebound);
  });

  it('believes an authentic packet from anywhere, and no other', async () => {
    const stage = useStage();
    const { open, announceMedia, send, sendUnseen, answerArrives } = stage;
    const [phone, stranger, elsewhere] = [await open(), await open(STRANGER), await open('127.0.0.4')];
    announceMedia({ announced: phone, secure: true });
    stage.isAuthentic = (packet) => packet.readUInt32BE(4) === 7;
    await send(stranger, 5);
    await send(phone, 5);
    await answerArrives(phone);
    await send(elsewhere, 1, 7);
    await answerArrives(elsewhere);
    sendUnseen(stranger, 5);
    await answerArrives(elsewhere);
    expect(stranger.heard).toEqual([]);
    stage.now += 4000;
    stage.gateway.maintain(stage.now);
    await send(stranger, 5);
    await answerArrives(elsewhere);
    await send(phone, 1, 7);
    await answerArrives(phone);
  });

  it('believes only the announced address of FreeSWITCH', async () => {
    const stage = useStage();
    const { open, announceMedia, send, answerArrives } = stage;
    const [freeswitch, stranger, neighbour] = [await open(), await open(STRANGER), await open()];
    announceMedia({ announced: freeswitch, announcedOnly: true, signallingHost: STRANGER });
    stage.consent.trust();
    await send(stranger, 10);
    await send(neighbour, 10);
    expect([stage.rtp, stage.gateway.strangers]).toEqual([0, 20]);
    await answerArrives(freeswitch);
    await send(freeswitch);
    stage.now += 10_000;
    stage.gateway.maintain(stage.now);
    await send(neighbour, 5);
    await answerArrives(freeswitch);
  });

  it('ignores packets from the old address for a while after a move', async () => {
    const stage = useStage();
    const { open, announce, send, answerArrives } = stage;
    const [before, after] = [await open(), await open()];
    announce(before);
    await send(before);
    announce(after);
    await send(before, 5);
    await answerArrives(after);
    stage.now += 3000;
    await send(before, 4);
    await answerArrives(before);
    await send(after);
    await answerArrives(after);
  });
});
