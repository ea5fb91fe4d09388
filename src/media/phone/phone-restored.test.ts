import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import type { PhoneDescription } from '../types.js';
import { readPhoneState, writePhoneState } from './phone-state.js';
import { usePhoneStage } from './testing/phone-stage.js';
import type { TestPhone } from './testing/test-phone.js';

// Calls take real time, and a busy machine takes more of it.
vi.setConfig({ testTimeout: 20_000, hookTimeout: 20_000 });

describe('a phone whose media process died', () => {
  const stage = usePhoneStage();
  const states = (deviceId: string): string[] =>
    stage.events.flatMap((event) =>
      event.type === 'state' && event.deviceId === deviceId ? [event.state] : [],
    );
  const stateOf = (deviceId: string): string => states(deviceId).at(-1)!;
  const restore = (deviceId: string, state: string, ageMs = 300): Promise<PhoneDescription> =>
    stage.restore(deviceId, { state, ageMs });

  it.each([
    ['PCMU', undefined],
    ['PCMU', 'AES_CM_128_HMAC_SHA1_80'],
    ['G722', 'AEAD_AES_128_GCM'],
    ['opus', undefined],
  ])('goes on with %s and encryption %s: both hear as before', async (codec, suite) => {
    const clockRate = codec === 'opus' ? 48_000 : 8000;
    const [alice, bob] = [await stage.phone({ codec, clockRate }), await stage.phone({ codec, clockRate })];
    for (const phone of [alice, bob]) if (suite !== undefined) phone.encrypt(suite);
    const [aliceStream, bobStream] = [await stage.call('alice', alice), await stage.call('bob', bob)];
    await stage.deliver('bob', aliceStream);
    await stage.deliver('alice', bobStream);
    alice.play(700);
    bob.play(1300);
    await stage.hears(bob, 700);
    await stage.hears(alice, 1300);
    const [aliceState, bobState] = [stateOf('alice'), stateOf('bob')];
    expect(aliceState.length).toBeLessThan(3072);

    await stage.restart({});
    const [aliceAgain, bobAgain] = await Promise.all([
      restore('alice', aliceState),
      restore('bob', bobState),
    ]);
    const before = bob.received.at(-1)!;
    const died = performance.now();
    expect(aliceAgain).toMatchObject({
      sdp: '',
      held: false,
      stream: { streamId: aliceStream, kinds: ['audio'] },
      audio: { codec, encryption: suite ?? 'none', remote: `127.0.0.1:${alice.port}` },
    });
    expect(bobAgain.stream?.streamId).toBe(bobStream);
    await stage.deliver('bob', aliceStream);
    await stage.deliver('alice', bobStream);
    await stage.hears(bob, 700, died);
    await stage.hears(alice, 1300, died);
    const first = bob.received.find(({ at }) => at >= died)!;
    expect(first.marker).toBe(true);
    const ahead = (first.sequence - before.sequence) & 0xffff;
    expect(ahead).toBeGreaterThan(0);
    expect(ahead).toBeLessThan(3000);
    expect(((first.timestamp - before.timestamp) | 0) / clockRate).toBeGreaterThan(0);
    expect([alice.unauthentic, bob.unauthentic]).toEqual([0, 0]);
  });

  it('keeps port, key and the version of its descriptions', async () => {
    const alice = await stage.phone();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    const { sdp } = await stage.open('alice', alice.offer());
    const [, id, version] = /^o=patchbay (\d+) (\d+) /m.exec(sdp)!;
    const state = stateOf('alice');
    await stage.restart({});
    await restore('alice', state);
    const again = (await stage.handle('alice').update(alice.offer())).sdp;
    const same = (pattern: RegExp): void => expect(pattern.exec(again)?.[0]).toBe(pattern.exec(sdp)![0]);
    for (const pattern of [/^m=.*$/m, /^a=crypto.*$/m, /^a=rtcp:.*$/m]) same(pattern);
    expect(again).toContain(`o=patchbay ${id} ${Number(version) + 1} `);
  });

  it('goes on with comfort noise', async () => {
    const alice = await stage.phone();
    const { sdp } = await stage.open('alice', alice.offer().replace(/m=audio.*/, '$& 13'));
    alice.callTo(sdp);
    const state = stateOf('alice');
    await stage.restart({});
    await restore('alice', state);
    alice.play(700);
    // Nobody else is heard: there is nothing but silence to send.
    await alice.until(() => alice.received.some(({ payloadType }) => payloadType === 13));
    expect((await stage.handle('alice').update()).sdp).toContain('a=rtpmap:13 CN/8000');
  });

  it('is sent to at once where it was found, though it announced another address', async () => {
    const alice = await stage.phone();
    const { sdp } = await stage.open('alice', alice.offer(['a=sendrecv'], 4));
    alice.callTo(sdp);
    const before = states('alice').length;
    alice.play(700);
    await vi.waitUntil(() => states('alice').length > before, { timeout: 10_000 });
    alice.stop();
    const state = stateOf('alice');
    await stage.restart({});
    const since = performance.now();
    await restore('alice', state);
    await alice.until(() => alice.received.filter(({ at }) => at >= since).length > 5);
  });

  it('goes on at another address, once the phone was offered that', async () => {
    const alice = await stage.phone();
    alice.encrypt('AES_CM_128_HMAC_SHA1_80');
    const { sdp, stream } = await stage.open('alice', alice.offer());
    const [, id, version] = /^o=patchbay (\d+) (\d+) /m.exec(sdp)!;
    alice.callTo(sdp);
    const state = stateOf('alice');
    await stage.restart({ rtpHost: '127.0.0.2' });
    const moved = await stage.restore('alice', { state, ageMs: 300, isElsewhere: true });
    expect(moved).toMatchObject({ sdp: '', stream });
    const offer = (await stage.handle('alice').update()).sdp;
    expect(offer).toContain('c=IN IP4 127.0.0.2');
    expect(offer).toContain(`o=patchbay ${id} ${Number(version) + 1} `);
    expect(offer).toContain(/AES_CM_128_HMAC_SHA1_80 inline:\S+/.exec(sdp)![0]);
    await stage.handle('alice').answer(alice.offer());
    alice.callTo(offer);
    const bob = await stage.phone();
    await stage.call('bob', bob);
    await stage.deliver('bob', stream!.streamId);
    alice.play(700);
    await stage.hears(bob, 700);
    await alice.until(() => alice.received.length > 5);
    expect(alice.unauthentic).toBe(0);
  });

  it('is sent nothing while another machine may have its call', async () => {
    const { alice } = await stage.aliceAndBob();
    await alice.until(() => alice.received.length > 5);
    const heard = (): Promise<void> => {
      const since = performance.now();
      return alice.until(() => alice.received.filter(({ at }) => at > since).length > 5);
    };
    stage.plane.sendToPhonesFor(60_000);
    await heard();
    stage.plane.sendToPhonesFor(0);
    const before = stage.plane.counters().framesWithheld;
    await vi.waitUntil(() => stage.plane.counters().framesWithheld > before + 10, { timeout: 10_000 });
    const packets = alice.received.length;
    await vi.waitUntil(() => stage.plane.counters().framesWithheld > before + 30, { timeout: 10_000 });
    expect(alice.received.length).toBe(packets);
    stage.plane.sendToPhonesFor(60_000);
    await heard();
  });

  it('gets no media before it has given the consent that it owed before', async () => {
    const alice = await stage.phone();
    const source = { address: '127.0.0.1', isDirect: true, isConnection: false };
    let state = '';
    const spec = { kind: 'phone', deviceId: 'alice', source, sdpOffer: alice.offer() } as const;
    await stage.plane.open(spec, (event) => event.type === 'state' && (state = event.state)).opened;
    await stage.restart({});
    await restore('alice', state);
    await vi.waitUntil(() => stage.plane.counters().framesWithheld > 5, { timeout: 10_000 });
    expect(alice.received).toEqual([]);
    await stage.handle('alice').confirm(source);
    await alice.until(() => alice.received.length > 5);
    const confirmed = stateOf('alice');
    await stage.restart({});
    const since = performance.now();
    await restore('alice', confirmed);
    await alice.until(() => alice.received.filter(({ at }) => at >= since).length > 5);
    expect(stage.plane.counters().framesWithheld).toBe(0);
  });

  it('stays on hold, and goes on afterwards', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    await stage.handle('alice').update(alice.offer(['a=sendonly']));
    const state = stateOf('alice');
    await stage.restart({});
    expect((await restore('alice', state)).held).toBe(true);
    const resumed = performance.now();
    expect((await stage.handle('alice').update(alice.offer())).held).toBe(false);
    await alice.until(() => alice.received.filter(({ at }) => at > resumed).length > 5);
  });

  it('may still answer the offer that it was made', async () => {
    const alice = await stage.phone();
    const { sdp } = await stage.open('alice');
    const state = stateOf('alice');
    await stage.restart({});
    expect(await restore('alice', state)).toEqual({ sdp: '', held: false });
    alice.callTo(sdp);
    expect((await stage.handle('alice').answer(alice.offer())).audio?.codec).toBe('PCMU');
    await alice.until(() => alice.received.length > 5);
  });

  it('is published in the codec that it sent last, and goes on with its DTMF', async () => {
    const alice = await stage.phone();
    await stage.open('alice');
    // The answer takes two of the offered codecs, and prefers the first.
    const answer = alice.offer().replace('RTP/AVP 0 101', 'RTP/AVP 0 8 101');
    alice.callTo((await stage.handle('alice').update()).sdp);
    await stage.handle('alice').answer(answer);
    const sendAs = async (phone: TestPhone, payloadType: number): Promise<void> => {
      const before = states('alice').length;
      // Long enough that the codec may change: once in a second.
      while (states('alice').length === before) {
        phone.send(new Uint8Array(160).fill(0xd5), payloadType);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await sendAs(alice, 0);
    await sendAs(alice, 8);
    await vi.waitUntil(() => readPhoneState(stateOf('alice')).received?.name === 'PCMA', { timeout: 10_000 });
    const state = stateOf('alice');
    await stage.restart({});
    await restore('alice', state);
    expect(readPhoneState(stateOf('alice')).received?.name).toBe('PCMA');
    alice.press('7');
    await vi.waitUntil(() => stage.events.some((event) => event.type === 'dtmf' && event.digit === '7'));
  });

  it('waits for its ports while the dying process holds them, but not for ever', async () => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    const state = stateOf('alice');
    const { port } = readPhoneState(state);
    await stage.restart({});
    const holder = createSocket('udp4').bind(port, '127.0.0.1');
    await once(holder, 'listening');
    setTimeout(() => holder.close(), 100);
    await restore('alice', state);
    await stage.handle('alice').close();

    const other = createSocket('udp4').bind(port, '127.0.0.1');
    await once(other, 'listening');
    await expect(restore('alice', state)).rejects.toMatchObject({ code: 'NO_PORT' });
    other.close();
  });

  it.each([
    ['no JSON', () => '{"form":1'],
    ['of another version', (state: string) => state.replace('{"form":1,', '{"form":2,')],
    ['damaged', (state: string) => state.replace('streamId', 'streamID')],
  ])('is not restored from a state that is %s', async (_how, change) => {
    const alice = await stage.phone();
    await stage.call('alice', alice);
    await expect(restore('bob', change(stateOf('alice')))).rejects.toMatchObject({ code: 'INVALID_STATE' });
  });

  it('has a state of bounded length, whatever its description says', async () => {
    const alice = await stage.phone({ codec: 'opus', clockRate: 48_000 });
    const formats = Array.from({ length: 28 }, (_, i) => 100 + i);
    const offer = alice
      .offer([
        ...formats.map((type) => `a=rtpmap:${type} opus/48000/2`),
        ...formats.map((type) => `a=fmtp:${type} x=${'y'.repeat(1000)}`),
      ])
      .replace(/RTP\/AVP .*/, `RTP/AVP ${formats.join(' ')}`);
    await stage.open('alice');
    await stage.handle('alice').answer(offer);
    const state = stateOf('alice');
    expect(state.length).toBeLessThan(4096);
    expect(readPhoneState(state).negotiation.session?.received.size).toBeGreaterThan(20);
    expect(writePhoneState(readPhoneState(state))).toBe(state);
  });
});

describe('the state of a phone', () => {
  const stage = usePhoneStage();

  it('is stated after each description and when its address is found, not for each packet', async () => {
    const alice = await stage.phone();
    const count = (): number => stage.events.filter(({ type }) => type === 'state').length;
    const { sdp } = await stage.open('alice', alice.offer());
    alice.callTo(sdp);
    expect(count()).toBe(1);
    alice.play(700);
    await vi.waitUntil(() => count() === 2);
    // The codec was settled by the first description: the second after that brings no other state.
    await alice.until(() => alice.received.length > 60);
    expect(count()).toBe(2);
    await stage.handle('alice').update(alice.offer(['a=sendonly']));
    await stage.handle('alice').update(alice.offer(['a=ptime:40']));
    await stage.handle('alice').update();
    expect(count()).toBe(5);
    await stage.handle('alice').close();
    expect(count()).toBe(5);
  });
});
