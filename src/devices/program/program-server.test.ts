import { describe, expect, it, vi } from 'vitest';
import { ACCOUNT, connectTalking, newParticipant } from '../../core/testing/index.js';
import { MediaError } from '../../media/index.js';
import { GRACE_MS, useProgramServer } from './testing/server-fixture.js';
import { TestProgram } from './testing/test-program.js';

const start = useProgramServer();

/** A program in a session with somebody who talks. */
async function inSession(query: Readonly<Record<string, string>> = {}) {
  const fixture = await start();
  const session = fixture.session();
  const talker = newParticipant(fixture.core);
  fixture.core.addToSession(ACCOUNT, session, talker, { sessionId: session });
  const { id, token } = fixture.participant(session);
  const program = await fixture.open(token, query);
  const deviceId = fixture.deviceOf(id);
  const events: string[] = [];
  for (const event of ['connected', 'signallingLost', 'left'] as const)
    fixture.core.on(event, ({ device }) => {
      if (device.kind === 'program') events.push(event);
    });
  return { fixture, session, talker, id, token, program, deviceId, events };
}

describe('a program', () => {
  it('is a participant’s device of its own kind, that publishes one stream and is told its facts', async () => {
    const { fixture, session, id, program, deviceId } = await inSession({ alias: 'agent', rate: '24000' });
    expect(fixture.core.counts().devices).toEqual({ program: 1 });
    expect(fixture.media.specs).toMatchObject([
      { kind: 'program', deviceId, sessionId: session, rate: 24000, channels: 'mix', queueMs: 60_000 },
    ]);
    expect(fixture.core.device(ACCOUNT, id)).toMatchObject({
      info: { kind: 'program', direction: 'inbound' },
      streams: [{ streamId: `stream-${deviceId}`, alias: 'agent', mediaTypes: ['audio'] }],
      formats: { received: { codecs: ['L16'], encryption: 'none' }, sent: { codecs: ['L16'] } },
    });
    expect(program.messages[0]).toEqual({
      type: 'start',
      version: 1,
      participantId: id,
      sessionId: session,
      connectionId: deviceId,
      streamId: `stream-${deviceId}`,
      rate: 24000,
      channels: 'mix',
      mayPublish: true,
      resumed: false,
    });
  });

  it('hears the mix, and is told who comes, speaks, presses a key and goes', async () => {
    const { fixture, talker, program, deviceId } = await inSession();
    const { device, connection } = connectTalking(fixture.core, talker);
    const about = { channel: 1, streamId: talker, participantId: talker };
    expect(await program.message('channel')).toEqual({ type: 'channel', state: 'open', ...about });
    expect(fixture.media.deliveries(deviceId).at(-1)).toEqual([{ streamId: talker, kinds: ['audio'] }]);
    const pcm = Buffer.from([1, 2, 3, 4]);
    fixture.media.emit(deviceId, { type: 'audio', pcm });
    expect(await program.heard(1)).toEqual([pcm]);
    connection.speaking(talker, true);
    connection.speaking('no stream of it', true);
    connection.speaking(talker, false, -23.4);
    expect(await program.message('speech', ({ state }) => state === 'stop')).toEqual({
      ...{ type: 'speech', state: 'stop', ...about },
      levelDb: -23.4,
    });
    expect(program.messages.filter(({ type }) => type === 'speech')).toHaveLength(2);
    fixture.media.emit(deviceId, { type: 'digit', streamId: talker, digit: '5', durationMs: 120 });
    expect(await program.message('dtmf')).toEqual({ type: 'dtmf', digit: '5', durationMs: 120, ...about });
    fixture.core.disconnectDevice(ACCOUNT, talker);
    expect(device.closed).toEqual(['disconnected']);
    expect(await program.message('channel', ({ state }) => state === 'closed')).toMatchObject(about);
  });

  it('tells how loud it is while its session is watched', async () => {
    const { fixture, session, id, deviceId } = await inSession();
    const told: unknown[] = [];
    fixture.core.on('levels', ({ participant, levels }) => told.push([participant.id, levels]));
    const end = fixture.core.watchLevels(session);
    expect([...fixture.media.watched]).toEqual([deviceId]);
    const levels = [{ streamId: `stream-${deviceId}`, levelDb: -20 }];
    fixture.media.emit(deviceId, { type: 'levels', levels });
    expect(told).toEqual([[id, levels]]);
    end();
    expect([...fixture.media.watched]).toEqual([]);
  });

  it('that asks for them gets each stream by itself, marked with its number', async () => {
    const { fixture, talker, program, deviceId } = await inSession({ channels: 'streams' });
    connectTalking(fixture.core, talker);
    await program.message('channel');
    const pcm = Buffer.from([1, 2, 3, 4]);
    fixture.media.emit(deviceId, { type: 'audio', streamId: 'gone', pcm });
    fixture.media.emit(deviceId, { type: 'audio', streamId: talker, pcm });
    expect(await program.heard(1)).toEqual([Buffer.from([1, 0, 0, 0, 1, 2, 3, 4])]);
  });

  it('plays, marks, clears and sends digits', async () => {
    const { fixture, program, deviceId } = await inSession();
    const { programs } = fixture.media;
    const digits: string[] = [];
    fixture.core.on('dtmf', ({ digit, durationMs }) => digits.push(`${digit} ${durationMs}`));
    program.send(Buffer.from([1, 2]));
    program.send({ type: 'mark', mark: 'said' });
    program.send({ type: 'dtmf', digits: '12#', durationMs: 80 });
    program.send({ type: 'clear' });
    const expected = [Buffer.from([1, 2]), 'mark said', 'clear'].map((what) => [deviceId, what]);
    await vi.waitFor(() => expect(programs.told).toEqual(expected));
    expect(programs.dtmf).toEqual([[deviceId, { digits: '12#', durationMs: 80 }]]);
    expect(digits).toEqual(['1 80', '2 80', '# 80']);
    fixture.media.emit(deviceId, { type: 'played', mark: 'said' });
    expect(await program.message('played')).toEqual({ type: 'played', mark: 'said' });
    fixture.media.emit(deviceId, { type: 'overflow', droppedMs: 340 });
    expect(await program.message('overflow')).toMatchObject({ direction: 'from-program', droppedMs: 340 });
    expect(fixture.server.counters().overflowMs).toBe(340);
    fixture.media.emit(deviceId, { type: 'interrupted' });
    await program.message('interrupted');
    programs.failure = new MediaError('TOO_MANY_DIGITS', 'too many');
    program.send({ type: 'dtmf', digits: '1' });
    expect(await program.message('error')).toMatchObject({ code: 'too-many-digits' });
  });

  it('gets the digits that the application sends by REST', async () => {
    const { fixture, id, program } = await inSession();
    await fixture.core.sendDtmf(ACCOUNT, id, { digits: '7*' });
    expect(await program.message('dtmf', ({ digit }) => digit === '*')).toEqual({
      ...{ type: 'dtmf', digit: '*', durationMs: 100 },
    });
    expect(() => fixture.core.setByeHeaders(ACCOUNT, id, {})).toThrow('program cannot');
    program.cut();
    await vi.waitFor(() => expect(fixture.programs.of(id)?.isAway).toBe(true));
    await expect(fixture.core.sendDtmf(ACCOUNT, id, { digits: '7' })).rejects.toMatchObject({
      code: 'PATCHBAY_DEVICE_NOT_FOUND',
    });
  });

  it.each([
    ['leaves', 1000, (program: { send: (message: object) => void }) => program.send({ type: 'leave' })],
    ['closes its socket', 1005, (program: { socket: { close: () => void } }) => program.socket.close()],
  ])('is gone at once when it %s', async (_how, code, leave) => {
    const { fixture, id, program, deviceId, events } = await inSession();
    const reasons: string[] = [];
    fixture.core.on('left', ({ reason }) => reasons.push(reason));
    leave(program as never);
    expect((await program.closed).code).toBe(code);
    await vi.waitFor(() => expect(fixture.media.closed).toEqual([deviceId]));
    expect(fixture.core.device(ACCOUNT, id)).toBeUndefined();
    expect([events, reasons]).toEqual([['left'], ['left']]);
    expect(fixture.server.counters()).toMatchObject({ devices: 0 });
  });

  it('is told why it ends', async () => {
    const { fixture, id, program } = await inSession();
    fixture.core.disconnectDevice(ACCOUNT, id);
    expect(await program.message('stop')).toEqual({ type: 'stop', reason: 'disconnected' });
    expect(await program.closed).toEqual({ code: 1000, reason: 'disconnected' });
  });

  it('ends with the gateway, with a code after which it may come back', async () => {
    const { fixture, program } = await inSession();
    await fixture.server.stop();
    expect(await program.closed).toEqual({ code: 1012, reason: 'shutdown' });
  });

  it('ends when its media cannot be opened', async () => {
    const fixture = await start();
    const { id, token } = fixture.participant();
    fixture.media.programs.failure = new MediaError('INVALID_STATE', 'no host');
    expect((await new TestProgram(fixture.url({ token })).closed).code).toBe(1011);
    expect(fixture.core.device(ACCOUNT, id)).toBeUndefined();
  });
});

describe('a program that lost its socket', () => {
  it('goes on when it comes back in time', async () => {
    const { fixture, id, token, talker, program, deviceId, events } = await inSession();
    connectTalking(fixture.core, talker);
    program.cut();
    await vi.waitFor(() => expect(events).toEqual(['signallingLost']));
    fixture.clock.advance(GRACE_MS - 1);
    const again = await fixture.open(token);
    expect(again.messages[0]).toMatchObject({ resumed: true, connectionId: deviceId });
    expect(await again.message('channel')).toMatchObject({ state: 'open', streamId: talker });
    // No longer, lest the pings of the socket be missed.
    fixture.clock.advance(2_000);
    fixture.media.emit(deviceId, { type: 'audio', pcm: Buffer.alloc(2) });
    await again.heard(1);
    expect(fixture.core.device(ACCOUNT, id)).toBeDefined();
    expect(events).toEqual(['signallingLost']);
    // A second loss is told again.
    again.cut();
    await vi.waitFor(() => expect(events).toEqual(['signallingLost', 'signallingLost']));
  });

  it('is gone after its grace', async () => {
    const { fixture, id, program, deviceId, events } = await inSession();
    program.cut();
    await vi.waitFor(() => expect(events).toEqual(['signallingLost']));
    fixture.clock.advance(GRACE_MS);
    await vi.waitFor(() => expect(fixture.media.closed).toEqual([deviceId]));
    expect(events).toEqual(['signallingLost', 'left']);
    expect(fixture.core.device(ACCOUNT, id)).toBeUndefined();
  });

  it('comes back with its own id before the loss is noticed', async () => {
    const { fixture, token, program, deviceId, events } = await inSession({ uniqueId: 'agent-7' });
    const again = await fixture.open(token, { uniqueId: 'agent-7' });
    expect(again.messages[0]).toMatchObject({ resumed: true, connectionId: deviceId });
    expect((await program.closed).code).toBe(1006);
    expect(events).toEqual([]);
  });

  it('comes back with a token that has expired meanwhile', async () => {
    const { fixture, id, program, token, deviceId } = await inSession();
    program.cut();
    await vi.waitFor(() => expect(fixture.programs.of(id)?.isAway).toBe(true));
    vi.spyOn(fixture.core, 'authenticate').mockImplementation((_token, options) => {
      if (options?.ignoreExpiry !== true) throw new Error('The test’s token has expired.');
      return fixture.core.participant(ACCOUNT, id);
    });
    const again = await fixture.open(token);
    expect(again.messages[0]).toMatchObject({ connectionId: deviceId });
  });

  it.each([
    ['another id', { uniqueId: 'other' }],
    ['another rate', { rate: '8000' }],
    ['no loss before', {}],
  ])('is replaced by one with %s', async (_what, query) => {
    const { token, fixture, program, deviceId, events } = await inSession();
    const other = await fixture.open(token, query);
    expect(other.messages[0]).toMatchObject({ resumed: false });
    expect(other.messages[0]).not.toMatchObject({ connectionId: deviceId });
    expect(await program.closed).toEqual({ code: 1000, reason: 'replaced' });
    expect(events).toEqual(['left', 'connected']);
    expect(fixture.server.counters().devices).toBe(1);
  });
});

describe('a program whose media outlived the gateway', () => {
  /** The name of the note that its gateway kept, and a gateway after it. */
  async function carried(note: (kept: string) => string = (kept) => kept, streams = 1) {
    const scene = await inSession({ uniqueId: 'agent-7', alias: 'agent', channels: 'streams' });
    const { fixture, deviceId, id } = scene;
    const kept = fixture.media.notes.find(([device]) => device === deviceId)![1];
    const { connectedAt } = fixture.core.device(ACCOUNT, id)!;
    await fixture.server.stop();
    scene.events.length = 0;
    fixture.core.on('carriedOver', () => scene.events.push('carriedOver'));
    const stream = { streamId: 'stream-before', kinds: ['audio'], codecs: ['opus'] } as const;
    const left = {
      kind: 'program',
      deviceId,
      note: note(kept),
      streams: [stream].slice(0, streams),
    } as const;
    fixture.media.carry(left);
    await fixture.restart();
    await fixture.server.restore(fixture.media.carried());
    return { ...scene, connectedAt };
  }

  it('goes on publishing, and is the device that it was when it comes back', async () => {
    const { fixture, id, token, deviceId, events, connectedAt } = await carried();
    expect(fixture.core.device(ACCOUNT, id)).toMatchObject({
      info: { id: deviceId, externalId: 'agent-7' },
      connectedAt,
      streams: [{ streamId: 'stream-before', alias: 'agent' }],
    });
    fixture.clock.advance(GRACE_MS - 1);
    const query = { uniqueId: 'agent-7', alias: 'agent', channels: 'streams' };
    const again = await fixture.open(token, query);
    expect(again.messages[0]).toMatchObject({ resumed: true, streamId: 'stream-before' });
    fixture.clock.advance(GRACE_MS);
    expect(events).toEqual(['carriedOver']);
  });

  it('is gone after its grace when it does not come back', async () => {
    const { fixture, deviceId, events } = await carried();
    fixture.clock.advance(GRACE_MS);
    await vi.waitFor(() => expect(fixture.media.closed).toContain(deviceId));
    expect(events).toEqual(['carriedOver', 'signallingLost', 'left']);
  });

  it.each([
    ['another version wrote the note', () => '{"program":{"dialect":"toString"}}', 1],
    ['the note is of something else', () => 'null', 1],
    ['the note is no JSON', () => '{', 1],
    ['its rate is unknown', (kept: string) => kept.replace('16000', '11025'), 1],
    [
      'its participant is gone',
      (kept: string) => kept.replace(/"participantId":"[^"]+"/, '"participantId":"x"'),
      1,
    ],
    ['its media were not open', (kept: string) => kept, 0],
  ])('does not go on when %s', async (_why, note, streams) => {
    const { fixture, deviceId, events } = await carried(note, streams);
    expect(events).toEqual([]);
    // It is closed with everything that nobody adopts.
    expect(fixture.media.carried().map((device) => device.deviceId)).toEqual([deviceId]);
  });
});
