import { Refusal } from '../refusal.js';
import { header, type SipMessage } from '../sip.js';
import { unquoted } from '../tokens/user-to-user.js';

/**
 * How long after the first report of a key press the second one may come. linphone sends an INFO only after the one before
 * was answered, so INFO may be late; RTP is not.
 */
const SECOND_REPORT_MS = { info: 10_000, rtp: 1500 } as const;

/** So many key presses may wait for their second report: more than anybody makes in that time. */
const MAX_WAITING = 64;

const other = (way: DigitWay): DigitWay => (way === 'rtp' ? 'info' : 'rtp');

/** A key press that came by SIP INFO. */
interface InfoDigit {
  readonly digit: string;
  readonly durationMs: number;
}

const DEFAULT_DURATION_MS = 250;
const MAX_DURATION_MS = 10_000;

/** RFC 4733 event codes, which some phones send instead of the characters. */
const BY_EVENT_CODE = new Map([
  ['10', '*'],
  ['11', '#'],
  ['12', 'A'],
  ['13', 'B'],
  ['14', 'C'],
  ['15', 'D'],
]);

/** The Content-Types in which phones send a key press. */
const TYPES = [
  'application/dtmf-relay',
  'application/dtmf',
  'audio/telephone-event',
  'application/vnd.nortelnetworks.digits',
];

/**
 * The digit in an INFO request, in any of its Content-Types and spellings: as fields (`Signal=5` or `d: 5`, and
 * `Duration=160`) or alone (`5`). Undefined for an empty INFO and for a hook flash, which are accepted but are no digit.
 * @throws Refusal 415 for any other body, 400 when the signal is no digit
 */
export function digitOfInfo(info: SipMessage): InfoDigit | undefined {
  const body = (info.body ?? '').trim();
  if (body === '') return undefined;
  const type = (header(info, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (!TYPES.includes(type)) {
    throw new Refusal(415, 'INFO is accepted only with DTMF.', { Accept: TYPES.join(', ') });
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

/** How a phone sends digits: as RFC 4733 events in its RTP, or by SIP INFO. */
export type DigitWay = 'rtp' | 'info';

interface Press {
  readonly way: DigitWay;
  readonly digit: string;
  readonly at: number;
}

/** Some phones report each key press both ways: this counts each press once. */
export class DigitMerger {
  readonly #now: () => number;
  #waiting: Press[] = [];

  /** @param now a monotonic clock in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Whether this report is the first of its key press, not the second by the other way. */
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
