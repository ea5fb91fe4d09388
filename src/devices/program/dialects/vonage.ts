import {
  asFields,
  asPcm,
  BadMessage,
  type Command,
  type Conversation,
  type Dialect,
  type Message,
  type News,
  type ProgramFacts,
  unknownMessage,
} from './dialect.js';

/** Vonage's Voice API over WebSocket: https://developer.vonage.com/en/voice/voice-api/guides/websockets */
export const VONAGE: Dialect = {
  name: 'vonage',
  rates: [8000, 16000, 24000],
  defaultRate: 16000,
  hasChannels: false,
  codec: 'L16',
  subprotocols: [],
  converse: () => new VonageConversation(),
};

/** Most characters of a payload that comes back when it has been played. */
const MAX_PAYLOAD = 256;

class VonageConversation implements Conversation {
  start({ participant, rate }: ProgramFacts): readonly Message[] {
    const connected = {
      event: 'websocket:connected',
      'content-type': `audio/l16;rate=${String(rate)}`,
      participantId: participant.id,
      sessionId: participant.sessionId,
      tag: participant.tag,
    };
    return [JSON.stringify(connected)];
  }

  audio(pcm: Buffer): Message {
    return pcm;
  }

  tell(news: News): Message | undefined {
    switch (news.type) {
      case 'digit':
        return JSON.stringify({ event: 'websocket:dtmf', digit: news.digit, duration: news.durationMs });
      case 'played':
        return news.mark === CLEARED
          ? JSON.stringify({ event: 'websocket:cleared' })
          : `{"event":"websocket:notify","payload":${news.mark}}`;
      case 'channel':
      case 'speech':
      case 'overflow':
      case 'interrupted':
      case 'error':
      case 'stop':
        return undefined;
    }
  }

  read(message: Message): readonly Command[] {
    if (typeof message !== 'string') return [{ type: 'play', pcm: asPcm(message) }];
    const fields = asFields(message);
    switch (fields['action']) {
      case 'clear':
        return [{ type: 'clear' }, { type: 'mark', mark: CLEARED }];
      case 'notify':
        return [{ type: 'mark', mark: payloadOf(fields['payload']) }];
      default:
        throw unknownMessage('action', fields['action']);
    }
  }
}

/** The mark after a clear: no JSON is written like this. */
const CLEARED = 'cleared';

/** @throws BadMessage */
function payloadOf(payload: unknown): string {
  const text = JSON.stringify(payload ?? null);
  if (text.length <= MAX_PAYLOAD) return text;
  throw new BadMessage(
    'bad-field',
    `As JSON, 'payload' must have at most ${String(MAX_PAYLOAD)} characters.`,
  );
}
