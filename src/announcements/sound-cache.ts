import { mkdir, rm } from 'node:fs/promises';
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { type DecodedSound, SoundError } from './decoder/index.js';

/** A file of samples that can be played: signed, 16 bits, little-endian, one channel. */
interface Sound extends DecodedSound {
  readonly path: string;
}

/** A sound that stays as it is until it is released. */
export interface HeldSound extends Sound {
  /** Holds it once more. */
  share(): HeldSound;
  release(): void;
}

interface Entry {
  readonly sound: Sound;
  holders: number;
  /** It is no longer found, and goes with its last holder. */
  isStale: boolean;
}

const bytesOf = ({ samples }: DecodedSound): number => 2 * samples;

/**
 * Decoded sounds on disk, in a folder that is emptied at the start. When they take more bytes than they may, the one that
 * was used least recently goes first, but never one that plays.
 */
export class SoundCache {
  readonly #folder: string;
  readonly #maxBytes: number;
  /** By key, the least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  static async open(folder: string, maxBytes: number): Promise<SoundCache> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new SoundCache(folder, maxBytes);
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A path for a new file. */
  draft(): string {
    return join(this.#folder, randomUUID());
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  hold(key: string): HeldSound | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return this.#held(entry);
  }

  #held(entry: Entry): HeldSound {
    entry.holders += 1;
    let isHeld = true;
    return {
      ...entry.sound,
      share: () => this.#held(entry),
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        entry.holders -= 1;
        if (entry.isStale && entry.holders === 0) this.#remove(entry);
      },
    };
  }

  /**
   * Takes a finished file. One that had the key before is found no more, but goes on to be played.
   * @throws SoundError when those that play leave no room for it
   */
  add(key: string, sound: Sound): void {
    this.drop(key);
    const entry = { sound, holders: 0, isStale: false };
    this.#bytes += bytesOf(sound);
    for (const [other, { holders }] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) break;
      if (holders === 0) this.drop(other);
    }
    if (this.#bytes > this.#maxBytes) {
      this.#remove(entry);
      throw new SoundError('The gateway has no room left for another sound.');
    }
    this.#entries.set(key, entry);
  }

  drop(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    if (entry.holders > 0) entry.isStale = true;
    else this.#remove(entry);
  }

  #remove({ sound }: Entry): void {
    this.#bytes -= bytesOf(sound);
    unlinkSync(sound.path);
  }
}
