import { createHash, randomBytes } from 'node:crypto';
import { compressMuLaw, expandMuLaw } from '../../../media/index.js';
import {
  asFields,
  base64In,
  BadMessage,
  type Command,
  type Conversation,
  type Dialect,
  fieldsIn,
  markIn,
  type Message,
  type News,
  type ProgramFacts,
  unknownMessage,
} from './dialect.js';

/** Twilio's bidirectional Media Streams: https://www.twilio.com/docs/voice/media-streams/websocket-messages */
export const TWILIO: Dialect = {
  name: 'twilio',
  rates: [8000],
  defaultRate: 8000,
  hasChannels: false,
  codec: 'PCMU',
  subprotocols: [],
  converse: () => new TwilioConversation(),
};

const EXPANDED = Int16Array.from({ length: 0x100 }, (_, byte) => expandMuLaw(byte));
const COMPRESSED = Uint8Array.from({ length: 0x10000 }, (_, bits) => compressMuLaw((bits << 16) >> 16));

const FRAME_MS = 20;

/** An id that looks like Twilio's: two letters and 32 hexadecimal digits, always the same for one text. */
const sidOf = (prefix: string, text: string): string =>
  prefix + createHash('sha256').update(text).digest('hex').slice(0, 32);

class TwilioConversation implements Conversation {
  readonly #streamSid = `MZ${randomBytes(16).toString('hex')}`;
  #callSid = '';
  #accountSid = '';
  #sequenceNumber = 0;
  #chunk = 0;

  start({ participant, connectionId }: ProgramFacts): readonly Message[] {
    this.#callSid = sidOf('CA', connectionId);
    this.#accountSid = sidOf('AC', participant.accountId);
    const connected = JSON.stringify({ event: 'connected', protocol: 'Call', version: '1.0.0' });
    const start = this.#numbered('start', {
      start: {
        accountSid: this.#accountSid,
        streamSid: this.#streamSid,
        callSid: this.#callSid,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: {
          participantId: participant.id,
          ...(participant.sessionId !== undefined && { sessionId: participant.sessionId }),
          ...(participant.tag !== undefined && { tag: participant.tag }),
        },
      },
    });
    return [connected, start];
  }

  audio(pcm: Buffer): Message {
    const samples = pcm.length >> 1;
    const bytes = Buffer.allocUnsafe(samples);
    for (let i = 0; i < samples; i += 1) bytes[i] = COMPRESSED[pcm.readUInt16LE(i * 2)]!;
    const timestamp = String(this.#chunk * FRAME_MS);
    this.#chunk += 1;
    const media = {
      track: 'inbound',
      chunk: String(this.#chunk),
      timestamp,
      payload: bytes.toString('base64'),
    };
    return this.#numbered('media', { media });
  }

  tell(news: News): Message | undefined {
    switch (news.type) {
      case 'played':
        return this.#numbered('mark', { mark: { name: news.mark } });
      case 'digit':
        return this.#numbered('dtmf', { dtmf: { track: 'inbound_track', digit: news.digit } });
      case 'stop':
        return this.#numbered('stop', { stop: { accountSid: this.#accountSid, callSid: this.#callSid } });
      case 'channel':
      case 'speech':
      case 'overflow':
      case 'interrupted':
      case 'error':
        return undefined;
    }
  }

  read(message: Message): readonly Command[] {
    if (typeof message !== 'string') throw new BadMessage('not-text', 'Messages must be text.');
    const fields = asFields(message);
    switch (fields['event']) {
      case 'media':
        return [{ type: 'play', pcm: expanded(base64In(fieldsIn(fields, 'media'), 'payload')) }];
      case 'mark':
        return [{ type: 'mark', mark: markIn(fieldsIn(fields, 'mark'), 'name') }];
      case 'clear':
        return [{ type: 'clear' }];
      default:
        throw unknownMessage('event', fields['event']);
    }
  }

  #numbered(event: string, about: object): string {
    this.#sequenceNumber += 1;
    const sequenceNumber = String(this.#sequenceNumber);
    return JSON.stringify({ event, sequenceNumber, ...about, streamSid: this.#streamSid });
  }
}

function expanded(bytes: Buffer): Buffer {
  const pcm = Buffer.allocUnsafe(bytes.length * 2);
  for (let i = 0; i < bytes.length; i += 1) pcm.writeInt16LE(EXPANDED[bytes[i]!]!, i * 2);
  return pcm;
}
