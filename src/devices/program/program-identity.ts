import type { Participant } from '../../core/index.js';
import type { CarriedDevice, ProgramRate } from '../../media/index.js';
import { type Dialect, type DialectName, DIALECTS, type ProgramFormat } from './dialects/index.js';

/** A program whose media an earlier gateway left. */
export interface CarriedProgram {
  readonly note: ProgramNote;
  readonly device: CarriedDevice;
}

/** Who a program is, and how its audio comes and goes. */
export interface ProgramIdentity extends ProgramFormat {
  readonly participant: Participant;
  readonly dialect: Dialect;
  /** Its own id; absent: it has none, and gets one. */
  readonly uniqueId?: string | undefined;
  /** Of the stream that it publishes. */
  readonly alias?: string | undefined;
  /** `outbound`: the gateway connects to the program. */
  readonly direction: 'inbound' | 'outbound';
  /** Of the socket, as far as the gateway sees. */
  readonly encryption: 'TLS' | 'none';
  readonly carried?: CarriedProgram;
}

/** What the gateway keeps with the media of a program, so that another gateway can go on with both. */
export interface ProgramNote {
  readonly participantId: string;
  /** When the program connected, in epoch ms. */
  readonly connectedAt: number;
  readonly dialect: DialectName;
  readonly rate: ProgramRate;
  readonly channels: 'mix' | 'streams';
  readonly direction: 'inbound' | 'outbound';
  readonly encryption: 'TLS' | 'none';
  readonly uniqueId?: string;
  readonly alias?: string;
}

export function writeProgramNote(identity: ProgramIdentity, connectedAt: number): string {
  const { participant, dialect, rate, channels, direction, encryption, uniqueId, alias } = identity;
  const note: ProgramNote = {
    participantId: participant.id,
    connectedAt,
    dialect: dialect.name,
    rate,
    channels,
    direction,
    encryption,
    ...(uniqueId !== undefined && { uniqueId }),
    ...(alias !== undefined && { alias }),
  };
  return JSON.stringify({ program: note });
}

/** @returns undefined when the text is not such a note: another version of the gateway may have written it */
export function readProgramNote(text: string): ProgramNote | undefined {
  let found: { readonly program?: Partial<ProgramNote> } | null;
  try {
    found = JSON.parse(text) as typeof found;
  } catch {
    return undefined;
  }
  const note = found?.program;
  if (note?.dialect === undefined || !Object.hasOwn(DIALECTS, note.dialect)) return undefined;
  const { participantId, connectedAt, rate } = note;
  if (typeof participantId !== 'string' || typeof connectedAt !== 'number') return undefined;
  if (rate === undefined || !DIALECTS[note.dialect].rates.includes(rate)) return undefined;
  return note as ProgramNote;
}
