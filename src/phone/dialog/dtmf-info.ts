import { Refusal } from '../refusal.js';
import type { SipMessage } from '../sip.js';
import { header } from '../sip.js';

/** A key press that came by SIP INFO. */
export interface InfoDigit {
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

/**
 * The digit in an INFO request: `application/dtmf-relay` (`Signal=5`, `Duration=160`) or `application/dtmf` (`5`).
 * Undefined for an empty INFO and for a hook flash, which are fine and mean no digit.
 * @throws Refusal 415 for any other body, 400 for something that is no digit
 */
export function digitOfInfo(info: SipMessage): InfoDigit | undefined {
  const body = (info.body ?? '').trim();
  if (body === '') return undefined;
  const type = (header(info, 'content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  switch (type) {
    case 'application/dtmf-relay':
      return digitOf(field(body, 'signal') ?? '', Number(field(body, 'duration') ?? DEFAULT_DURATION_MS));
    case 'application/dtmf':
      return digitOf(body, DEFAULT_DURATION_MS);
    default:
      throw new Refusal(415, 'INFO is understood with DTMF only.', {
        Accept: 'application/dtmf-relay, application/dtmf',
      });
  }
}

function field(body: string, name: string): string | undefined {
  const line = body.split(/\r?\n/).find((text) => text.split('=')[0]!.trim().toLowerCase() === name);
  return line?.slice(line.indexOf('=') + 1).trim();
}

function digitOf(signal: string, durationMs: number): InfoDigit | undefined {
  if (signal === '16' || /^(flash|hf|!)$/i.test(signal)) return undefined;
  const digit = BY_EVENT_CODE.get(signal) ?? signal.toUpperCase();
  if (!/^[0-9*#A-D]$/.test(digit)) throw new Refusal(400, 'The INFO carries no DTMF digit.');
  const usable = Number.isFinite(durationMs) && durationMs > 0 && durationMs <= MAX_DURATION_MS;
  return { digit, durationMs: usable ? durationMs : DEFAULT_DURATION_MS };
}
