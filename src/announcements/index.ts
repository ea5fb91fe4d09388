import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Core, WaitingReason } from '../core/index.js';
import type { FileDoor } from '../media/index.js';
import { type Clock, type Log, systemClock } from '../shared/index.js';
import { Announcements } from './announcements.js';
import type { FetchGuard } from './download.js';
import { JoinTones } from './join-tones.js';
import { type PlayerLimits, Players } from './players.js';
import { Sounds, soundSource, type SoundSource } from './sounds.js';
import type { UploadLimits } from './uploads.js';
import { WaitingMusic } from './waiting-music.js';

export type { Announcements } from './announcements.js';

/** Time for a file to be fetched, and without anything of it. */
const FETCH = { timeoutMs: 60_000, stallMs: 10_000 };

interface AnnouncementsOptions {
  readonly core: Core;
  readonly media: FileDoor;
  readonly guard: FetchGuard;
  readonly dataDir: string;
  readonly uploads: UploadLimits;
  readonly cacheBytes: number;
  /** Longest sound. */
  readonly maxSeconds: number;
  readonly players: PlayerLimits;
  readonly waiting: {
    /** Path of a file, or `tone:music`; absent: no music. */
    readonly music?: string | undefined;
    readonly when: readonly WaitingReason[];
  };
  readonly joinTones: boolean;
  readonly clock?: Clock;
  readonly log: Log;
}

/** What the gateway itself plays: announcements of applications, music for those who wait, tones. */
export interface AnnouncementsPart {
  readonly announcements: Announcements;
  counts(): ReturnType<Sounds['counts']> & {
    readonly playing: ReturnType<Players['counts']>;
    readonly refused: number;
  };
  /**
   * A sound that can be had by its `mediaUrl`, whole.
   * @throws PatchbayError, or Error whose message says why it cannot be played
   */
  samples(
    accountId: string,
    mediaUrl: string,
  ): Promise<{ readonly rate: number; readonly samples: Int16Array }>;
  /** Begins with the music of those who wait, once the devices of an earlier gateway are connected again. */
  start(): void;
  stop(): Promise<void>;
}

export async function createAnnouncements(options: AnnouncementsOptions): Promise<AnnouncementsPart> {
  const { core, media, clock = systemClock, log } = options;
  // Media hosts have another working directory.
  const dataDir = resolve(options.dataDir);
  const sounds = await Sounds.open({
    uploadsFolder: join(dataDir, 'media'),
    cacheFolder: join(dataDir, 'media-cache'),
    cacheBytes: options.cacheBytes,
    maxSeconds: options.maxSeconds,
    uploads: options.uploads,
    downloads: { maxBytes: options.uploads.maxBytes, ...FETCH },
    guard: options.guard,
    clock,
  });
  const players = new Players({ core, media, limits: options.players, clock, log });
  const announcements = new Announcements({
    core,
    sounds,
    players,
    clock,
    log,
    maxPerAccount: options.players.playersPerAccount,
  });
  const { music, when } = options.waiting;
  const waiting = new WaitingMusic({
    core,
    sounds,
    players,
    options: { source: music === undefined ? undefined : musicSource(music), when },
    clock,
    log,
  });
  new JoinTones({ core, sounds, players, isDefault: options.joinTones, log });
  return {
    announcements,
    counts: () => ({ ...sounds.counts(), playing: players.counts(), refused: players.refused }),
    samples: async (accountId, mediaUrl) => {
      const source = soundSource(accountId, mediaUrl);
      sounds.admit(source);
      const sound = await sounds.load(source);
      try {
        const bytes = await readFile(sound.path);
        const samples = new Int16Array(sound.samples);
        for (let i = 0; i < samples.length; i += 1) samples[i] = bytes.readInt16LE(2 * i);
        return { rate: sound.rate, samples };
      } finally {
        sound.release();
      }
    },
    start: () => waiting.start(),
    stop: () => sounds.close(),
  };
}

function musicSource(music: string): SoundSource {
  return music === 'tone:music' ? { kind: 'tone', name: 'music' } : { kind: 'file', path: resolve(music) };
}
