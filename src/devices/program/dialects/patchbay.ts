import type { MediaDtmf } from '../../../media/index.js';
import {
  asFields,
  asPcm,
  BadMessage,
  type Channel,
  type Command,
  type Conversation,
  type Dialect,
  markIn,
  type Message,
  type News,
  type ProgramFacts,
  unknownMessage,
} from './dialect.js';

/** Bytes before the samples of a channel: its number, little-endian, and two zeros that keep the samples aligned. */
const HEADER_BYTES = 4;

const DIGITS = /^[0-9*#A-D]{1,32}$/;

/** Our own dialect: docs/programs.md describes it, docs/programs.schema.json its text messages. */
export const PATCHBAY: Dialect = {
  name: 'patchbay',
  rates: [8000, 16000, 24000, 48000],
  defaultRate: 16000,
  hasChannels: true,
  codec: 'L16',
  subprotocols: [],
  converse: () => new OwnConversation(),
};

class OwnConversation implements Conversation {
  start(facts: ProgramFacts): readonly Message[] {
    const { participant, connectionId, streamId, rate, channels, isResumed } = facts;
    const start = {
      type: 'start',
      version: 1,
      participantId: participant.id,
      sessionId: participant.sessionId,
      tag: participant.tag,
      connectionId,
      streamId,
      rate,
      channels,
      mayPublish: participant.publishPermissions.includes('audio'),
      resumed: isResumed,
    };
    return [JSON.stringify(start)];
  }

  audio(pcm: Buffer, channel: Channel | undefined): Message {
    if (!channel) return pcm;
    const message = Buffer.allocUnsafe(HEADER_BYTES + pcm.length);
    message.writeUInt32LE(channel.number);
    pcm.copy(message, HEADER_BYTES);
    return message;
  }

  tell(news: News): Message {
    return JSON.stringify(ownWords(news));
  }

  read(message: Message): readonly Command[] {
    if (typeof message !== 'string') return [{ type: 'play', pcm: asPcm(message) }];
    const fields = asFields(message);
    switch (fields['type']) {
      case 'mark':
        return [{ type: 'mark', mark: markIn(fields, 'mark') }];
      case 'clear':
      case 'leave':
        return [{ type: fields['type'] }];
      case 'dtmf':
        return [{ type: 'dtmf', dtmf: dtmfIn(fields) }];
      default:
        throw unknownMessage('type', fields['type']);
    }
  }
}

function ownWords(news: News): object {
  switch (news.type) {
    case 'channel':
      return { type: 'channel', state: news.isOpen ? 'open' : 'closed', ...about(news.channel) };
    case 'speech': {
      const { channel, isSpeaking, levelDb } = news;
      return { type: 'speech', state: isSpeaking ? 'start' : 'stop', ...about(channel), levelDb };
    }
    case 'digit':
      return {
        type: 'dtmf',
        digit: news.digit,
        durationMs: news.durationMs,
        ...(news.channel && about(news.channel)),
      };
    case 'overflow':
    case 'played':
    case 'interrupted':
    case 'error':
    case 'stop':
      return news;
  }
}

function about({ number, streamId, participantId, alias }: Channel): object {
  return { channel: number, streamId, participantId, alias };
}

/** @throws BadMessage */
function dtmfIn({ digits, durationMs, gapMs }: Readonly<Record<string, unknown>>): MediaDtmf {
  if (typeof digits !== 'string' || !DIGITS.test(digits))
    throw new BadMessage('bad-field', "The property 'digits' must be 1 to 32 of 0-9, *, #, A-D.");
  return {
    digits,
    ...(durationMs !== undefined && { durationMs: milliseconds(durationMs, 'durationMs', 40) }),
    ...(gapMs !== undefined && { gapMs: milliseconds(gapMs, 'gapMs', 60) }),
  };
}

/** @throws BadMessage */
function milliseconds(value: unknown, name: string, least: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= 2_000) return value;
  throw new BadMessage('bad-field', `The property '${name}' must be a whole number from ${least} to 2000.`);
}
