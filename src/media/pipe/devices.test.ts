import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { browserAnswer, browserOffer, type OfferedMediaLine } from '../browser/testing/browser-sdp.js';
import { readRtcpTypes } from '../browser/testing/rtcp.js';
import type { BrowserHandle, PhoneHandle } from '../door.js';
import { toneLevel } from '../phone/testing/spectrum.js';
import { TestPhone } from '../phone/testing/test-phone.js';
import { isRtcp, rtpPayloadType, rtpSequence, rtpSsrc, writeNack, writePli } from '../rtp/index.js';
import { rtpPacket } from '../rtp/testing/packets.js';
import type { RemoteStreams } from '../live-streams.js';
import { HostPlane } from './testing/host-plane.js';
import { useTwoEnds } from './testing/two-ends.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

const CAMERA: OfferedMediaLine = { kind: 'video', mid: '1', msid: 'camera', ssrc: 21, rtxSsrc: 22 };

describe('devices on two hosts', () => {
  let [left, right]: HostPlane[] = [];
  let planes: RemoteStreams[] = [];
  const phones: TestPhone[] = [];
  beforeEach(() => {
    left = new HostPlane();
    right = new HostPlane();
    planes = [left.remoteStreams, right.remoteStreams];
  });
  afterEach(async () => {
    await Promise.all(phones.splice(0).map((phone) => phone.close()));
    await Promise.all([left!.stop(), right!.stop()]);
  });
  const stage = useTwoEnds(() => planes.shift()!);

  const call = async (plane: HostPlane, deviceId: string) => {
    const phone = await TestPhone.open();
    phones.push(phone);
    const digits: string[] = [];
    const handle = plane.open({ kind: 'phone', deviceId, sdpOffer: phone.offer() }, (event) => {
      if (event.type === 'dtmf') digits.push(event.digit);
    });
    const { sdp, stream } = await handle.opened;
    phone.callTo(sdp);
    return { phone, handle, streamId: stream!.streamId, digits };
  };
  const deliver = (handle: PhoneHandle | BrowserHandle, streamId: string): Promise<void> =>
    handle.setDelivery([{ streamId, kinds: ['audio', 'video'] }]);
  const hears = (phone: TestPhone, hertz: number, since = 0): Promise<void> =>
    phone.until(() => {
      const pcm = phone.heardSince(since);
      return pcm.length >= 1600 && toneLevel(pcm.slice(-1600), 8000, hertz) > 0.12;
    });

  /** A browser that receives a stream, connected. */
  const subscriber = async (plane: HostPlane, deviceId: string, streamId: string) => {
    const offers: string[] = [];
    const handle = plane.open({ kind: 'browser', deviceId }, (event) => {
      if (event.type === 'subscribeOffer') offers.push(event.offer.sdpOffer);
    });
    await handle.opened;
    await deliver(handle, streamId);
    await vi.waitUntil(() => offers.length > 0);
    await handle.answerSubscribe(browserAnswer(offers[0]!));
    const transport = plane.transports.last;
    transport.become('connected');
    return { transport, offers, rtp: () => transport.sent.filter((packet) => !isRtcp(packet)) };
  };

  it('hear each other: phones, both ways, over a change of codec, and their keys', async () => {
    const [alice, bob] = [await call(left!, 'alice'), await call(right!, 'bob')];
    stage.listening.send([alice.streamId]);
    stage.back.send([bob.streamId]);
    await deliver(bob.handle, alice.streamId);
    await deliver(alice.handle, bob.streamId);
    alice.phone.play(700);
    bob.phone.play(1300);
    await hears(bob.phone, 700);
    await hears(alice.phone, 1300);
    alice.phone.press('5');
    await bob.phone.until(() => bob.phone.received.some(({ payloadType }) => payloadType === 101));

    const pcma = alice.phone.offer().replace('RTP/AVP 0 101', 'RTP/AVP 8 101');
    await alice.handle.update(pcma);
    alice.phone.stop();
    const other = await TestPhone.open({ codec: 'PCMA' });
    phones.push(other);
    const again = await alice.handle.update(other.offer());
    expect(again.stream?.streamId).toBe(alice.streamId);
    other.callTo(again.sdp);
    const changed = performance.now();
    other.play(900);
    await hears(bob.phone, 900, changed);
    // Each packet of alice crossed once.
    other.stop();
    // Records leave up to 3 ms apart.
    await vi.waitUntil(
      () => stage.listening.counters().packetsSent === stage.connecting.counters().packetsReceived,
    );
    expect(stage.listening.counters().packetsDropped).toBe(0);
  });

  it('a phone and a browser: the payload reaches the browser as it is', async () => {
    const alice = await call(left!, 'alice');
    stage.listening.send([alice.streamId]);
    const page = await subscriber(right!, 'page', alice.streamId);
    const payload = Buffer.alloc(160, 0x5a);
    alice.phone.send(payload, 0);
    await vi.waitUntil(() => page.rtp().length === 1);
    const [packet] = page.rtp();
    expect(rtpPayloadType(packet!)).toBe(0);
    expect(packet!.subarray(12)).toEqual(payload);
    await alice.handle.close();
    await vi.waitUntil(() => page.offers.at(-1)!.includes('a=inactive'));
  });

  it('browsers: key frames are asked of the publisher, lost packets are repeated by the host next to the subscriber', async () => {
    const publisher = left!.open({ kind: 'browser', deviceId: 'camera' }, () => undefined);
    await publisher.opened;
    const sdpOffer = browserOffer({ media: [CAMERA] });
    const { streams } = await publisher.publish({ sdpOffer, allowedKinds: ['video'] });
    const source = left!.transports.last;
    source.become('connected');
    const plis = (): number =>
      source.sent.filter((packet) => isRtcp(packet) && readRtcpTypes(packet).includes(206)).length;
    stage.listening.send([streams[0]!.streamId]);
    const page = await subscriber(right!, 'page', streams[0]!.streamId);
    await vi.waitUntil(() => plis() > 0);

    const frame = Buffer.from([0x10, 0, 1, 2, 3, 4, 5, 6]);
    for (let sequence = 1; sequence <= 3; sequence += 1)
      source.handlers.onPacket(
        rtpPacket({ sequence, timestamp: 90, payloadType: 96, ssrc: 21, payload: frame }),
      );
    await vi.waitUntil(() => page.rtp().length === 3);
    const [first] = page.rtp();
    const { packetsSent } = stage.listening.counters();
    page.transport.handlers.onPacket(writeNack(1, rtpSsrc(first!), [rtpSequence(first!)]));
    await vi.waitUntil(() => page.rtp().length > 3);
    const repeated = page.rtp()[3]!;
    // By RFC 4588: the original sequence number comes before the payload.
    expect(repeated.readUInt16BE(12)).toBe(rtpSequence(first!));
    expect(repeated.subarray(14)).toEqual(frame);
    expect(stage.listening.counters().packetsSent).toBe(packetsSent);

    const before = plis();
    page.transport.handlers.onPacket(writePli(1, rtpSsrc(first!)));
    await vi.waitUntil(() => plis() > before);
  });

  it('a browser that joins while the publisher stands still gets the kept picture', async () => {
    const publisher = left!.open({ kind: 'browser', deviceId: 'slides' }, () => undefined);
    await publisher.opened;
    const sdpOffer = browserOffer({ media: [CAMERA] });
    const { streams } = await publisher.publish({ sdpOffer, allowedKinds: ['video'] });
    left!.transports.last.become('connected');
    const frame = Buffer.from([0x10, 0, 9, 9]);
    left!.transports.last.handlers.onPacket(
      rtpPacket({ sequence: 9, timestamp: 90, payloadType: 96, ssrc: 21, payload: frame, marker: true }),
    );
    stage.listening.send([streams[0]!.streamId]);
    const page = await subscriber(right!, 'page', streams[0]!.streamId);
    // Pages ask again until they have a picture.
    const ssrc = Number(/a=ssrc:(\d+)/.exec(page.offers[0]!)![1]);
    const asking = setInterval(() => page.transport.handlers.onPacket(writePli(1, ssrc)), 200);
    await vi.waitUntil(() => page.rtp().length > 0, { timeout: 10_000 });
    clearInterval(asking);
    expect(page.rtp()[0]!.subarray(-frame.length)).toEqual(frame);
  });
});
