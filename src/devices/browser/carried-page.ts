import { type BrowserHandle, type CarriedDevice, MAX_NOTE_BYTES } from '../../media/index.js';
import { isObject } from './json-rpc.js';
import type { OfferedStreams } from './messages.js';

/** What the gateway keeps with the media of a page, so that another gateway can go on with both. */
export interface PageNote {
  readonly participantId: string;
  readonly uniqueId: string;
  /** When the page connected, in epoch ms. */
  readonly connectedAt: number;
  readonly offered: OfferedStreams;
}

/** A page whose media an earlier gateway left. */
export interface CarriedPage {
  readonly note: PageNote;
  readonly device: CarriedDevice;
}

function writePageNote({ offered, ...note }: PageNote): string {
  return JSON.stringify({ ...note, offered: [...offered] });
}

/** @returns undefined when the text is not such a note: another version of the gateway may have written it */
export function readPageNote(text: string): PageNote | undefined {
  let note: unknown;
  try {
    note = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(note)) return undefined;
  const { participantId, uniqueId, connectedAt, offered } = note;
  if (typeof participantId !== 'string' || typeof uniqueId !== 'string') return undefined;
  if (typeof connectedAt !== 'number' || !Array.isArray(offered)) return undefined;
  const streams = offered.filter(
    (entry): entry is [string, string | undefined] => Array.isArray(entry) && typeof entry[0] === 'string',
  );
  return { participantId, uniqueId, connectedAt, offered: new Map(streams) };
}

/**
 * Keeps the note with the page's media. One that is too long is kept without aliases.
 * @throws MediaError by rejection, as {@link BrowserHandle.keep}
 */
export async function keepPageNote(media: BrowserHandle, note: PageNote): Promise<void> {
  const text = writePageNote(note);
  const fits = Buffer.byteLength(text) <= MAX_NOTE_BYTES;
  await media.keep(fits ? text : writePageNote({ ...note, offered: new Map() }));
}
