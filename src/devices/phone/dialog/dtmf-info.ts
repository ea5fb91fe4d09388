import { Refusal } from '../refusal.js';
import { header, type SipMessage } from '../sip.js';
import { unquoted } from '../tokens/user-to-user.js';

/**
 * How long after the first report of a key press the second may come. An INFO is sent when the key is let go, and
 * when the one before it was answered (linphone); RTP does not wait.
 */
const SECOND_REPORT_MS = { info: 10_000, rtp: 1500 } as const;

/** Presses that wait for their second report; more than this at once no finger makes. */
const MAX_WAITING = 64;

const other = (way: DigitWay): DigitWay => (way === 'rtp' ? 'info' : 'rtp');

/** A key press that came by SIP INFO. */
interface InfoDigit {
  readonly digit: string;
  readonly durationMs: number;
}

const DEFAULT_DURATION_MS = 250;
const MAX_DURATION_MS = 10_000;

/** RFC 4733 event codes that some phones send in place of the characters. */
const BY_EVENT_CODE = new Map([
  ['10', '*'],
  ['11', '#'],
  ['12', 'A'],
  ['13', 'B'],
  ['14', 'C'],
  ['15', 'D'],
]);

/** Bodies in which phones send a key press. */
const TYPES = [
  'application/dtmf-relay',
  'application/dtmf',
  'audio/telephone-event',
  'application/vnd.nortelnetworks.digits',
];

/**
 * The digit in an INFO request, by whichever of its types and spellings: as fields (`Signal=5`, `d: 5`, with a
 * `Duration=160`) or alone (`5`). Undefined for an empty INFO and for a hook flash, which are fine and mean no digit.
 * @throws Refusal 415 for any other body, 400 for something that is no digit
 */
export function digitOfInfo(info: SipMessage): InfoDigit | undefined {
  const body = (info.body ?? '').trim();
  if (body === '') return undefined;
  const type = (header(info, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (!TYPES.includes(type)) {
    throw new Refusal(415, 'INFO is understood with DTMF only.', { Accept: TYPES.join(', ') });
  }
  const fields = fieldsOf(body);
  const signal = fields.get('signal') ?? fields.get('d') ?? body;
  return digitOf(signal, Number(fields.get('duration') ?? DEFAULT_DURATION_MS));
}

function fieldsOf(body: string): ReadonlyMap<string, string> {
  const pairs = body.split(/[\r\n]+/).flatMap((line) => {
    const at = line.search(/[=:]/);
    return at < 0
      ? []
      : [[line.slice(0, at).trim().toLowerCase(), unquoted(line.slice(at + 1).trim())] as const];
  });
  return new Map(pairs);
}

function digitOf(signal: string, durationMs: number): InfoDigit | undefined {
  if (signal === '16' || /^(flash|hf|!)$/i.test(signal)) return undefined;
  const digit = BY_EVENT_CODE.get(signal) ?? signal.toUpperCase();
  if (!/^[0-9*#A-D]$/.test(digit)) throw new Refusal(400, 'The INFO carries no DTMF digit.');
  const usable = Number.isFinite(durationMs) && durationMs > 0 && durationMs <= MAX_DURATION_MS;
  return { digit, durationMs: usable ? durationMs : DEFAULT_DURATION_MS };
}

/** The ways by which a phone's digits come: RFC 4733 events in the audio, or SIP INFO. */
export type DigitWay = 'rtp' | 'info';

interface Press {
  readonly way: DigitWay;
  readonly digit: string;
  readonly at: number;
}

/** Some phones report each key press both ways: this lets each press through once. */
export class DigitMerger {
  readonly #now: () => number;
  #waiting: Press[] = [];

  /** @param now a clock in ms that does not jump */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether this report is of a key press that was not reported by the other way already. */
  isNew(way: DigitWay, digit: string): boolean {
    const at = this.#now();
    this.#waiting = this.#waiting.filter((press) => at - press.at < SECOND_REPORT_MS[other(press.way)]);
    const same = this.#waiting.findIndex((press) => press.way !== way && press.digit === digit);
    if (same >= 0) {
      this.#waiting.splice(same, 1);
      return false;
    }
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ way, digit, at });
    return true;
  }
}
