import { describe, expect, it } from 'vitest';
import type { Participant } from '../../../core/index.js';
import type { ProgramRate } from '../../../media/index.js';
import { type BadMessage, type Conversation, type DialectName, DIALECTS, type Message } from './index.js';

const participant = {
  id: 'participant',
  accountId: '9900000',
  sessionId: 'session',
  tag: 'caller 7',
  publishPermissions: ['audio'],
} as unknown as Participant;

function begin(name: DialectName, rate: ProgramRate = DIALECTS[name].defaultRate) {
  const conversation = DIALECTS[name].converse();
  const first = conversation.start({
    participant,
    connectionId: '0198b9a4-0000-7000-8000-000000000000',
    streamId: 'stream',
    rate,
    channels: 'mix',
    isResumed: false,
  });
  return { conversation, first: first.map(parsed) };
}

const parsed = (message: Message | undefined): unknown =>
  typeof message === 'string' ? JSON.parse(message) : message;

const says = (conversation: Conversation, message: object) => conversation.read(JSON.stringify(message));

/** The code of the error for a message. */
function complaint(conversation: Conversation, message: object | Buffer): string | undefined {
  try {
    conversation.read(Buffer.isBuffer(message) ? message : JSON.stringify(message));
    return undefined;
  } catch (error) {
    return (error as BadMessage).code;
  }
}

const pcmOf = (...samples: number[]): Buffer => Buffer.from(Int16Array.from(samples).buffer);

// https://www.twilio.com/docs/voice/media-streams/websocket-messages
describe('twilio', () => {
  it('begins with connected and start', () => {
    const { first } = begin('twilio');
    expect(first[0]).toEqual({ event: 'connected', protocol: 'Call', version: '1.0.0' });
    const streamSid = expect.stringMatching(/^MZ[0-9a-f]{32}$/) as string;
    expect(first[1]).toEqual({
      event: 'start',
      sequenceNumber: '1',
      start: {
        accountSid: expect.stringMatching(/^AC[0-9a-f]{32}$/) as string,
        callSid: expect.stringMatching(/^CA[0-9a-f]{32}$/) as string,
        streamSid,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: { participantId: 'participant', sessionId: 'session', tag: 'caller 7' },
      },
      streamSid,
    });
  });

  it('has µ-law in base64 in numbered messages', () => {
    const { conversation, first } = begin('twilio');
    const { streamSid } = first[1] as { streamSid: string };
    conversation.audio(pcmOf(0), undefined);
    expect(parsed(conversation.audio(pcmOf(0, 32767, -32768, 8), undefined))).toEqual({
      event: 'media',
      sequenceNumber: '3',
      media: {
        track: 'inbound',
        chunk: '2',
        timestamp: '20',
        payload: Buffer.from([255, 128, 0, 254]).toString('base64'),
      },
      streamSid,
    });
    const [command] = says(conversation, {
      event: 'media',
      streamSid,
      media: { payload: Buffer.from([255, 128, 0]).toString('base64') },
    });
    expect(command).toEqual({ type: 'play', pcm: pcmOf(0, 32124, -32124) });
  });

  it('has mark, clear, dtmf and stop', () => {
    const { conversation } = begin('twilio');
    expect(says(conversation, { event: 'mark', streamSid: 'x', mark: { name: 'end' } })).toEqual([
      { type: 'mark', mark: 'end' },
    ]);
    expect(says(conversation, { event: 'clear', streamSid: 'x' })).toEqual([{ type: 'clear' }]);
    expect(parsed(conversation.tell({ type: 'played', mark: 'end' }))).toMatchObject({
      event: 'mark',
      sequenceNumber: '2',
      mark: { name: 'end' },
    });
    expect(parsed(conversation.tell({ type: 'digit', digit: '4', durationMs: 90 }))).toMatchObject({
      event: 'dtmf',
      dtmf: { track: 'inbound_track', digit: '4' },
    });
    expect(parsed(conversation.tell({ type: 'stop', reason: 'left' }))).toMatchObject({
      event: 'stop',
      sequenceNumber: '4',
      stop: { callSid: expect.stringMatching(/^CA/) as string },
    });
    expect(conversation.tell({ type: 'interrupted' })).toBeUndefined();
  });

  it.each<[object | Buffer, string]>([
    [{ event: 'media', media: { payload: 'no base64!' } }, 'bad-field'],
    [{ event: 'media' }, 'bad-field'],
    [{ event: 'mark', mark: {} }, 'bad-field'],
    [{ event: 'start' }, 'unknown-message'],
    [Buffer.alloc(2), 'not-text'],
  ])('complains of %o', (message, code) => {
    expect(complaint(begin('twilio').conversation, message)).toBe(code);
  });
});

// https://developer.vonage.com/en/voice/voice-api/guides/websockets
describe('vonage', () => {
  it('begins with the content type and its custom fields', () => {
    expect(begin('vonage').first).toEqual([
      {
        event: 'websocket:connected',
        'content-type': 'audio/l16;rate=16000',
        participantId: 'participant',
        sessionId: 'session',
        tag: 'caller 7',
      },
    ]);
  });

  it('has L16 in binary messages, dtmf, clear and notify', () => {
    const { conversation } = begin('vonage');
    const pcm = pcmOf(1, 2);
    expect(conversation.audio(pcm, undefined)).toBe(pcm);
    expect(conversation.read(pcm)).toEqual([{ type: 'play', pcm }]);
    expect(parsed(conversation.tell({ type: 'digit', digit: '5', durationMs: 260 }))).toEqual({
      ...{ event: 'websocket:dtmf', digit: '5', duration: 260 },
    });
    const payload = { reply: 7 };
    const [notify] = says(conversation, { action: 'notify', payload });
    const [clear, cleared] = says(conversation, { action: 'clear' });
    expect(clear).toEqual({ type: 'clear' });
    const answerTo = (mark: typeof notify) =>
      mark?.type === 'mark' && parsed(conversation.tell({ type: 'played', mark: mark.mark }));
    expect(answerTo(notify)).toEqual({ event: 'websocket:notify', payload });
    expect(answerTo(cleared)).toEqual({ event: 'websocket:cleared' });
  });

  it.each<[object | Buffer, string]>([
    [{ action: 'notify', payload: 'x'.repeat(300) }, 'bad-field'],
    [{ action: 'sing' }, 'unknown-message'],
    [Buffer.alloc(3), 'odd-length'],
  ])('complains of %o', (message, code) => {
    expect(complaint(begin('vonage').conversation, message)).toBe(code);
  });
});

// https://docs.jambonz.org/verbs/verbs/listen
describe('jambonz', () => {
  const play = (data: object) => ({ type: 'playAudio', data });
  const raw = (pcm: Buffer, sampleRate?: string) =>
    play({ audioContent: pcm.toString('base64'), audioContentType: 'raw', sampleRate });

  it('begins with its metadata', () => {
    const { first } = begin('jambonz', 16000);
    expect(DIALECTS.jambonz.subprotocols).toEqual(['audio.jambonz.org']);
    expect(first).toMatchObject([
      {
        callSid: '0198b9a4-0000-7000-8000-000000000000',
        accountSid: '9900000',
        sampleRate: 16000,
        mixType: 'mono',
        participantId: 'participant',
      },
    ]);
  });

  it('has L16 in binary messages, and dtmf with its length in samples of 8 kHz', () => {
    const { conversation } = begin('jambonz');
    const pcm = pcmOf(1, 2);
    expect(conversation.audio(pcm, undefined)).toBe(pcm);
    expect(conversation.read(pcm)).toEqual([{ type: 'play', pcm }]);
    expect(parsed(conversation.tell({ type: 'digit', digit: '2', durationMs: 200 }))).toEqual({
      ...{ event: 'dtmf', dtmf: '2', duration: '1600' },
    });
  });

  it('says of marks whether they were played or cleared, and nothing of those that were taken back', () => {
    const { conversation } = begin('jambonz');
    const mark = (name: string): string => {
      const [command] = says(conversation, { type: 'mark', data: { name } });
      return command?.type === 'mark' ? command.mark : '';
    };
    const [one, two, again] = [mark('a'), mark('b'), mark('b')];
    const answer = (id: string): unknown => parsed(conversation.tell({ type: 'played', mark: id }));
    expect(answer(one)).toEqual({ type: 'mark', data: { name: 'a', event: 'playout' } });
    expect(says(conversation, { type: 'killAudio' })).toEqual([{ type: 'clear' }]);
    expect([answer(two), answer(again)]).toEqual(
      [1, 2].map(() => ({ type: 'mark', data: { name: 'b', event: 'cleared' } })),
    );
    const taken = mark('c');
    expect(says(conversation, { type: 'clearMarks' })).toEqual([]);
    expect(answer(taken)).toBeUndefined();
    expect(says(conversation, { type: 'disconnect' })).toEqual([{ type: 'leave' }]);
  });

  it('plays whole files, at another rate too, and says when they are done', () => {
    const { conversation } = begin('jambonz', 16000);
    const pcm = pcmOf(...Array.from({ length: 800 }, () => 1000));
    const [same, mark] = says(conversation, raw(pcm, '16000'));
    expect(same).toEqual({ type: 'play', pcm });
    const [converted] = says(conversation, raw(pcm, '8000'));
    const longer = converted?.type === 'play' ? converted.pcm : Buffer.alloc(0);
    expect(longer).toHaveLength(2 * pcm.length);
    expect(longer.readInt16LE(1600)).toBeCloseTo(1000, -1);
    expect(mark?.type === 'mark' && parsed(conversation.tell({ type: 'played', mark: mark.mark }))).toEqual({
      type: 'playDone',
    });
    expect(
      says(
        conversation,
        play({ audioContent: wave(pcm, 16000).toString('base64'), audioContentType: 'wav' }),
      )[0],
    ).toEqual({ type: 'play', pcm });
  });

  it.each<[object, string]>([
    [play({ audioContent: 'AAAA', audioContentType: 'mp3' }), 'bad-field'],
    [raw(pcmOf(1), '11025'), 'bad-field'],
    [raw(Buffer.alloc(3)), 'odd-length'],
    [play({ audioContentType: 'raw' }), 'bad-field'],
    [play({ audioContent: Buffer.from('RIFF').toString('base64'), audioContentType: 'wave' }), 'bad-field'],
    [
      play({ audioContent: wave(pcmOf(1), 12_345).toString('base64'), audioContentType: 'wave' }),
      'bad-field',
    ],
    [{ type: 'playAudio' }, 'bad-field'],
    [{ type: 'sing' }, 'unknown-message'],
  ])('complains of %o', (message, code) => {
    expect(complaint(begin('jambonz').conversation, message)).toBe(code);
  });
});

function wave(pcm: Buffer, rate: number): Buffer {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0, 'latin1');
  head.writeUInt32LE(36 + pcm.length, 4);
  head.write('WAVEfmt ', 8, 'latin1');
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(2 * rate, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36, 'latin1');
  head.writeUInt32LE(pcm.length, 40);
  return Buffer.concat([head, pcm]);
}
