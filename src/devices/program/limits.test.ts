import { describe, expect, it, vi } from 'vitest';
import { useProgramServer } from './testing/server-fixture.js';
import { type Fields, isAsPublished, TestProgram } from './testing/test-program.js';

const start = useProgramServer();

/** A program on a server with some limits of its own. */
async function limited(limits: NonNullable<Parameters<typeof start>[0]>['limits'] = {}) {
  const fixture = await start({ limits });
  const { id, token } = fixture.participant();
  const program = await fixture.open(token);
  return { fixture, id, token, program, deviceId: fixture.deviceOf(id) };
}

describe('a program is refused', () => {
  it.each([
    [{ token: 'none' }, /^401 /],
    [{}, /^401 /],
    [{ rate: '11025' }, '400 rate must be one of 8000, 16000, 24000, 48000.'],
    [{ rate: '16000.0' }, /^400 rate/],
    [{ channels: 'stereo' }, '400 channels must be mix or streams.'],
    [{ uniqueId: '' }, /^400 uniqueId/],
    [{ alias: 'a'.repeat(257) }, /^400 alias/],
  ])('with %o', async (query, status) => {
    const fixture = await start();
    const { token } = fixture.participant();
    const isAboutToken = Object.keys(query).length === 0 || 'token' in query;
    const url = fixture.url({ ...(!isAboutToken && { token }), ...query });
    expect(await fixture.refusal(url)).toMatch(status);
    expect(fixture.server.counters()).toMatchObject({ refusedPrograms: 1, devices: 0 });
    await vi.waitFor(() => expect(fixture.server.counters().sockets).toBe(0));
  });

  it('on another path', async () => {
    const fixture = await start();
    const { token } = fixture.participant();
    expect(await fixture.refusal(fixture.url({ token }, '/programs/'))).toBe('404 ');
    const behindPrefix = fixture.refusal(fixture.url({}, '//behind/program'));
    expect(await behindPrefix).toMatch(/^401/);
  });

  it('when its account has reached its limit of devices', async () => {
    const fixture = await start({}, { limits: { devicesPerAccount: 1 } });
    await fixture.open(fixture.participant().token);
    const other = fixture.participant();
    expect(await fixture.refusal(fixture.url({ token: other.token }))).toMatch(/^429 .*limit/);
  });

  it('when its address has too many sockets, or the gateway has no room', async () => {
    const { fixture, token } = await limited({ socketsPerAddress: 1 });
    expect(await fixture.refusal(fixture.url({ token }))).toBe('429 ');
    expect(fixture.server.counters()).toMatchObject({ refusedUpgrades: 1, sockets: 1 });
  });

  it('when it makes too many devices', async () => {
    const { fixture, token } = await limited({ devices: { burst: 2, perSecond: 0.001 } });
    await fixture.open(token);
    expect(await fixture.refusal(fixture.url({ token }))).toMatch(/^429 Too many new devices/);
  });

  it('while the gateway drains', async () => {
    const fixture = await start();
    fixture.core.drain();
    const program = new TestProgram(fixture.url({ token: fixture.participant().token }));
    expect((await program.closed).code).toBe(1012);
  });
});

it('a program may give its token in the Authorization header', async () => {
  const fixture = await start();
  const { id, token } = fixture.participant();
  const program = new TestProgram(fixture.url({}), { authorization: `Bearer ${token}` });
  expect(await program.message('start')).toMatchObject({ participantId: id });
  program.cut();
});

describe('a bad message', () => {
  const isFromProgram = isAsPublished('fromProgram');

  it.each<[Fields | string | Buffer, string]>([
    ['{', 'not-json'],
    ['[]', 'not-an-object'],
    ['null', 'not-an-object'],
    ['{}', 'unknown-message'],
    [{ type: 'sing' }, 'unknown-message'],
    [{ type: 'mark' }, 'bad-field'],
    [{ type: 'mark', mark: 'x'.repeat(257) }, 'bad-field'],
    [{ type: 'dtmf', digits: '12x' }, 'bad-field'],
    [{ type: 'dtmf', digits: '1', durationMs: 3 }, 'bad-field'],
    [{ type: 'dtmf', digits: '1', gapMs: '60' }, 'bad-field'],
    [Buffer.alloc(3), 'odd-length'],
  ])('%o gets the error %s', async (message, code) => {
    const { fixture, program } = await limited();
    const isObject = typeof message === 'object' && !Buffer.isBuffer(message);
    if (isObject) expect(isFromProgram(message), 'the published schema allows it').toBe(false);
    program.send(message);
    const error = await program.message('error');
    expect(error).toMatchObject({ code });
    expect(error['message']).toMatch(/\.$/);
    expect(fixture.server.counters()).toMatchObject({ badMessages: 1, abusiveSockets: 0 });
  });

  it('is followed by a close with a reason when it goes on', async () => {
    const { fixture, program } = await limited({ badMessages: { burst: 2, perSecond: 0.001 } });
    for (let i = 0; i < 3; i += 1) program.send('{');
    const { code, reason } = await program.closed;
    expect([code, reason]).toEqual([1008, 'Too many bad messages, the last one: not-json.']);
    expect(program.messages.filter(({ type }) => type === 'error')).toHaveLength(3);
    expect(fixture.server.counters()).toMatchObject({ badMessages: 3, abusiveSockets: 1 });
  });

  it('is one of too many, too, and is not acted on', async () => {
    const { fixture, program } = await limited({ messages: { burst: 1, perSecond: 0.001 } });
    for (let i = 0; i < 2; i += 1) program.send({ type: 'clear' });
    expect(await program.message('error')).toMatchObject({ code: 'too-many-messages' });
    expect(fixture.media.programs.told).toHaveLength(1);
  });

  it('is one that is too long; one that is far too long closes the socket', async () => {
    const { fixture, program } = await limited({ messageBytes: 1_000 });
    program.send(Buffer.alloc(1_000));
    program.send(Buffer.alloc(1_002));
    expect(await program.message('error')).toMatchObject({ code: 'too-long' });
    expect(fixture.media.programs.told).toHaveLength(1);
    program.send(Buffer.alloc(4_001));
    expect((await program.closed).code).toBe(1009);
    expect(fixture.server.counters().abusiveSockets).toBe(1);
  });

  it('is a mark while too many are not answered', async () => {
    const { fixture, program, deviceId } = await limited({ marks: 1 });
    program.send({ type: 'mark', mark: 'one' });
    program.send({ type: 'mark', mark: 'two' });
    expect(await program.message('error')).toMatchObject({ code: 'too-many-marks' });
    fixture.media.emit(deviceId, { type: 'played', mark: 'one' });
    await program.message('played');
    program.send({ type: 'mark', mark: 'three' });
    await vi.waitFor(() =>
      expect(fixture.media.programs.told.map(([, what]) => what)).toEqual(['mark one', 'mark three']),
    );
  });
});

it.each([
  { type: 'mark', mark: 'x' },
  { type: 'clear' },
  { type: 'dtmf', digits: '0*#D' },
  { type: 'dtmf', digits: '1', durationMs: 40, gapMs: 2000, more: 'is ignored' },
])('a good message is as published: %o', async (message) => {
  expect(isAsPublished('fromProgram')(message)).toBe(true);
  const { program, fixture } = await limited();
  program.send(message);
  program.send({ type: 'leave' });
  await program.message('stop');
  expect(fixture.server.counters().badMessages).toBe(0);
});

describe('a program that does not read', () => {
  it('loses the oldest audio, is told how much, and hears the newest when it reads again', async () => {
    const { fixture, program, deviceId } = await limited({
      socketBytes: 1_000,
      waitingMs: 1_000,
      waitingMessages: 5,
    });
    program.socket.pause();
    const frame = (n: number): Buffer => {
      const pcm = Buffer.alloc(65_536);
      pcm.writeUInt32LE(n);
      return pcm;
    };
    let sent = 0;
    const send = (): void => {
      sent += 1;
      fixture.media.emit(deviceId, { type: 'audio', pcm: frame(sent) });
    };
    // The system buffers some megabytes before anything waits in the process.
    while (fixture.server.counters().droppedMs === 0 && sent < 1_000) {
      send();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { droppedMs } = fixture.server.counters();
    expect(droppedMs).toBe(20);
    // Then it is too old.
    fixture.clock.advance(1_001);
    send();
    expect(fixture.server.counters().droppedMs).toBe(20 + 5 * 20);
    program.socket.resume();
    await program.heard(sent - 6);
    const heard = program.audio.map((pcm) => pcm.readUInt32LE());
    expect(heard.at(-1)).toBe(sent);
    expect(heard).toHaveLength(sent - 6);
    const told = program.messages.filter(({ type }) => type === 'overflow');
    expect(told.every(({ direction }) => direction === 'to-program')).toBe(true);
    expect(told.reduce((sum, message) => sum + Number(message['droppedMs']), 0)).toBe(120);
  });

  it('loses it before the system has kept much of it', async () => {
    const { fixture, program, deviceId } = await limited({ unreadMs: 2_000, waitingMs: 1_000 });
    program.socket.pause();
    let sent = 0;
    const send = (ms: number): void => {
      for (let at = 0; at < ms; at += 20) {
        const pcm = Buffer.alloc(640);
        pcm.writeUInt32LE((sent += 1));
        fixture.media.emit(deviceId, { type: 'audio', pcm });
        fixture.clock.advance(20);
      }
    };
    send(5_000);
    // Two seconds are under way, and one waits.
    const { droppedMs } = fixture.server.counters();
    expect(droppedMs).toBeGreaterThan(1_800);
    expect(droppedMs).toBeLessThan(2_200);
    program.socket.resume();
    await program.until(() => program.audio.find((pcm) => pcm.readUInt32LE() === sent));
    const heard = program.audio.map((pcm) => pcm.readUInt32LE());
    expect(heard).toHaveLength(sent - droppedMs / 20);
    // It goes on as before.
    send(20);
    await program.until(() => program.audio.find((pcm) => pcm.readUInt32LE() === sent));
    expect(fixture.server.counters().droppedMs).toBe(droppedMs);
  });

  it('is cut when even messages find no room', async () => {
    const { fixture, program, deviceId } = await limited({ outgoingBytes: 65_536, marks: 1e9 });
    program.socket.pause();
    const mark = 'x'.repeat(60_000);
    await vi.waitFor(() => {
      for (let i = 0; i < 10; i += 1) fixture.media.emit(deviceId, { type: 'played', mark });
      expect(fixture.server.counters().abusiveSockets).toBe(1);
    });
    program.socket.resume();
    expect((await program.closed).code).toBe(1006);
  });
});
