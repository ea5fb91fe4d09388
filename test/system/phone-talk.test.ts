import { describe, expect, it } from 'vitest';
import { readMetrics } from '../support/metrics.js';
import { limit, MINE, OTHERS, usePhoneRoom } from '../support/phone-room.js';
import { PCMA, PCMU } from '../support/tone-socket.js';
import { placeManyCalls } from '../support/sipp-load.js';
import { phoneOffer } from '../support/sipp.js';
import { until } from '../support/until.js';

const RAMP = 50;

describe('a phone that talks', () => {
  const room = usePhoneRoom();

  it('carries both ways; a change of subscriptions is heard within five packets, without a SIP message', async () => {
    await room.withCall({}, async (call, { id }) => {
      const { rest, session, other } = room;
      await call.tones.hears(OTHERS);
      await room.otherCall.tones.hears(MINE);
      const messages = call.messages.length;
      await rest.subscribe(session, id, {});
      const answeredAt = performance.now();
      await until('ten packets', () => enough(call.tones.packetsSince(answeredAt, OTHERS)), limit);
      expect(call.tones.packetsSince(answeredAt, OTHERS).with).toBeLessThanOrEqual(5);
      await rest.subscribe(session, id, { participants: [{ participantId: other.id }] });
      const againAt = performance.now();
      await until('ten packets', () => enough(call.tones.packetsSince(againAt, OTHERS)), limit);
      expect(call.tones.packetsSince(againAt, OTHERS).without).toBeLessThanOrEqual(5);
      expect(call.messages.slice(messages)).toEqual([]);
      await call.hangUp();
    });
  });

  it('stays up in silence without a session, and moves between sessions during the call', async () => {
    const { rest, session, otherCall } = room;
    const elsewhere = await rest.session();
    await room.withCall({}, async (call, { id }) => {
      await otherCall.tones.hears(MINE);
      await rest.leave(session, id);
      await otherCall.tones.stopsHearing(MINE);
      await call.tones.stopsHearing(OTHERS);
      const before = call.tones.packets;
      await until('silence goes on being sent', () => call.tones.packets > before + 5, limit);
      await rest.join(elsewhere, id, { sessionId: elsewhere });
      await rest.leave(elsewhere, id);
      await rest.join(session, id, { sessionId: session });
      await call.tones.hears(OTHERS);
      await otherCall.tones.hears(MINE);
      await call.hangUp();
    });
  });

  it('is heard though its SDP has a private address (livekit/sip #611, #424)', async () => {
    const sdp = (port: number): string => phoneOffer(port, { host: '192.168.55.5' });
    await room.withCall({ invite: { sdp } }, async (call) => {
      await room.otherCall.tones.hears(MINE);
      await call.tones.hears(OTHERS);
      await call.hangUp();
    });
  });

  it('starts with the codec that it prefers', async () => {
    const sdp = (port: number): string => phoneOffer(port).replace('RTP/AVP 0 8 101', 'RTP/AVP 8 0 101');
    await room.withCall({ invite: { sdp } }, async (call) => {
      call.tones.codec = PCMA;
      await call.tones.hears(OTHERS);
      await room.otherCall.tones.hears(MINE);
      expect(call.tones.received.get(PCMU)).toBeUndefined();
      await call.hangUp();
    });
  });

  it.each([10, 30, 40, 60])('packs and reads %i ms when it asks for it', async (ptime) => {
    const sdp = (port: number): string => phoneOffer(port, { ptime });
    await room.withCall({ invite: { sdp } }, async (call) => {
      call.tones.packetMs = ptime;
      expect((await call.final()).body).toContain(`a=ptime:${ptime}`);
      await call.tones.hears(OTHERS);
      await room.otherCall.tones.hears(MINE);
      expect(call.tones.lastPacketMs).toBe(ptime);
      await call.hangUp();
    });
  });

  it('gets reports, on the RTP port if so agreed (RFC 5761)', async () => {
    const sdp = (port: number): string => phoneOffer(port, { lines: ['a=rtcp-mux'] });
    await room.withCall({ invite: { sdp } }, async (call) => {
      expect((await call.final()).body).toContain('a=rtcp-mux');
      await call.tones.hears(OTHERS);
      await until('a report', () => call.tones.rtcp > 0, limit);
      expect(room.otherCall.tones.rtcp).toBe(0);
      await call.hangUp();
    });
  });

  /** Calls that were refused since too much was to be done. */
  const refusals = async (): Promise<number> => {
    const metrics = await readMetrics(room.gateway);
    return ['load', 'crowded']
      .map((cause) => metrics.get(`patchbay_admission_refusals_total{kind="phone",cause="${cause}"}`) ?? NaN)
      .reduce((sum, count) => sum + count);
  };
  it(`is answered normally during a ramp of ${RAMP} calls (livekit #4374, livekit/sip #663)`, async () => {
    const tokens: string[] = [];
    while (tokens.length < RAMP) tokens.push((await room.rest.participant()).token);
    const { sipPort } = room.gateway;
    const before = await refusals();
    const outcome = await placeManyCalls({ sipPort, tokens, calls: RAMP, rate: RAMP, holdMs: 500 });
    // A machine that is busy with other things refuses some, and says so; no call may fail for another reason. What is
    // refused may come again as a retransmission, and is refused again.
    const refused = (await refusals()) - before;
    const { successful, failed } = outcome;
    expect(successful + failed).toBe(RAMP);
    expect(failed).toBeLessThanOrEqual(refused);
    expect(failed).toBeLessThan(RAMP / 2);
  });
});

function enough(packets: { with: number; without: number }): boolean {
  return packets.with + packets.without >= 10;
}
