import { randomBytes } from 'node:crypto';
import type { ProgramRate } from '../../../media/index.js';
import { Resampler } from '../../../shared/index.js';
import {
  asFields,
  asPcm,
  BadMessage,
  base64In,
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

/** jambonz's `listen` with streaming bidirectional audio: https://docs.jambonz.org/verbs/verbs/listen */
export const JAMBONZ: Dialect = {
  name: 'jambonz',
  rates: [8000, 16000, 24000, 48000],
  defaultRate: 8000,
  hasChannels: false,
  codec: 'L16',
  subprotocols: ['audio.jambonz.org'],
  converse: () => new JambonzConversation(),
};

/** Rates that jambonz takes in `playAudio`. */
const PLAY_RATES = [8000, 16000, 24000, 32000, 48000, 64000];
/** An odd rate would cost a large filter. */
const WAVE_RATES = [...PLAY_RATES, 11025, 22050, 44100];

/** What follows when a place in the audio has been played. */
interface Mark {
  /** Absent: the end of a `playAudio`. */
  readonly name?: string;
  isCleared: boolean;
}

class JambonzConversation implements Conversation {
  #rate: ProgramRate = 8000;
  /** By the name that the media plane knows. */
  readonly #marks = new Map<string, Mark>();
  /** Marks of a socket that was lost may still be answered: they must not be taken for this one's. */
  readonly #prefix = randomBytes(6).toString('hex');
  #lastMark = 0;

  start({ participant, connectionId, rate }: ProgramFacts): readonly Message[] {
    this.#rate = rate;
    const metadata = {
      callSid: connectionId,
      accountSid: participant.accountId,
      direction: 'inbound',
      callStatus: 'in-progress',
      participantId: participant.id,
      sessionId: participant.sessionId,
      tag: participant.tag,
      sampleRate: rate,
      mixType: 'mono',
    };
    return [JSON.stringify(metadata)];
  }

  audio(pcm: Buffer): Message {
    return pcm;
  }

  tell(news: News): Message | undefined {
    switch (news.type) {
      case 'digit': {
        // In RTP timestamp units of 8000 Hz, as a text.
        const duration = String(news.durationMs * 8);
        return JSON.stringify({ event: 'dtmf', dtmf: news.digit, duration });
      }
      case 'played':
        return this.#played(news.mark);
      case 'interrupted':
        for (const mark of this.#marks.values()) mark.isCleared = true;
        return undefined;
      case 'channel':
      case 'speech':
      case 'overflow':
      case 'error':
      case 'stop':
        return undefined;
    }
  }

  read(message: Message): readonly Command[] {
    if (typeof message !== 'string') return [{ type: 'play', pcm: asPcm(message) }];
    const fields = asFields(message);
    switch (fields['type']) {
      case 'playAudio': {
        const pcm = pcmOf(fieldsIn(fields, 'data'), this.#rate);
        return [{ type: 'play', pcm }, this.#mark()];
      }
      case 'mark':
        return [this.#mark(markIn(fieldsIn(fields, 'data'), 'name'))];
      case 'killAudio':
        for (const mark of this.#marks.values()) mark.isCleared = true;
        return [{ type: 'clear' }];
      case 'clearMarks':
        this.#marks.clear();
        return [];
      case 'disconnect':
        return [{ type: 'leave' }];
      default:
        throw unknownMessage('type', fields['type']);
    }
  }

  #mark(name?: string): Command {
    this.#lastMark += 1;
    const mark = `${this.#prefix} ${String(this.#lastMark)}`;
    this.#marks.set(mark, { ...(name !== undefined && { name }), isCleared: false });
    return { type: 'mark', mark };
  }

  #played(id: string): Message | undefined {
    const mark = this.#marks.get(id);
    if (!mark) return undefined;
    this.#marks.delete(id);
    const { name, isCleared } = mark;
    if (name !== undefined)
      return JSON.stringify({ type: 'mark', data: { name, event: isCleared ? 'cleared' : 'playout' } });
    return isCleared ? undefined : '{"type":"playDone"}';
  }
}

/** The samples of a `playAudio` at the program's rate. @throws BadMessage */
function pcmOf(data: Readonly<Record<string, unknown>>, rate: ProgramRate): Buffer {
  const content = base64In(data, 'audioContent');
  const { audioContentType: type, sampleRate } = data;
  if (type === 'wav' || type === 'wave') return resampled(...readWave(content), rate);
  if (type !== 'raw') throw new BadMessage('bad-field', "'audioContentType' must be raw, wav or wave.");
  const given = Number(sampleRate ?? rate);
  if (!PLAY_RATES.includes(given))
    throw new BadMessage('bad-field', `'sampleRate' must be one of ${PLAY_RATES.join(', ')}.`);
  return resampled(asPcm(content), given, rate);
}

function resampled(pcm: Buffer, from: number, to: number): Buffer {
  if (from === to) return pcm;
  const samples = pcm.length >> 1;
  const input = Int16Array.from({ length: samples }, (_, i) => pcm.readInt16LE(i * 2));
  const resampler = new Resampler(from, to);
  const out = new Int16Array(resampler.room(samples));
  const written = resampler.process(input, samples, out);
  return Buffer.from(out.buffer, 0, written * 2);
}

/** The samples and the rate of a WAVE file of 16 bits, mono. @throws BadMessage */
function readWave(file: Buffer): [pcm: Buffer, rate: number] {
  let rate: number | undefined;
  if (file.toString('latin1', 0, 4) === 'RIFF' && file.toString('latin1', 8, 12) === 'WAVE') {
    for (let at = 12; at + 8 <= file.length;) {
      const [id, start] = [file.toString('latin1', at, at + 4), at + 8];
      const end = Math.min(start + file.readUInt32LE(at + 4), file.length);
      if (id === 'fmt ' && end - start >= 16) rate = rateIn(file.subarray(start, end));
      if (id === 'data' && rate !== undefined) return [file.subarray(start, end - ((end - start) % 2)), rate];
      // Chunks begin at even places.
      at = end + (end % 2);
    }
  }
  throw new BadMessage(
    'bad-field',
    "'audioContent' must be a WAVE file: PCM, 16 bits, mono, at a usual rate.",
  );
}

/** The rate in the format of a WAVE file; undefined when it is not PCM of 16 bits, mono, at a usual rate. */
function rateIn(format: Buffer): number | undefined {
  const [codec, channels, rate, bits] = [
    format.readUInt16LE(0),
    format.readUInt16LE(2),
    format.readUInt32LE(4),
    format.readUInt16LE(14),
  ];
  return codec === 1 && channels === 1 && bits === 16 && WAVE_RATES.includes(rate) ? rate : undefined;
}
