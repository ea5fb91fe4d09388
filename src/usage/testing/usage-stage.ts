import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { createCore, type Core } from '../../core/index.js';
import { ACCOUNT, connectTalking, TOKEN_SECRET } from '../../core/testing/index.js';
import { FakeClock, silentLog } from '../../shared/testing/index.js';
import { openStore, type Store } from '../../store/index.js';
import { readHere } from '../../store/testing/read-here.js';
import { createUsage, type Usage } from '../index.js';

export const DAY_MS = 86_400_000;

/** A store, a core and its usage, for each test in a data folder of its own. Records are kept for two days. */
class UsageStage {
  dataDir = '';
  store!: Store;
  core!: Core;
  usage!: Usage;
  clock = new FakeClock();

  async start(): Promise<void> {
    const { dataDir, clock } = this;
    this.store = await openStore({ dataDir, log: silentLog, usageReader: readHere });
    this.core = createCore({ tokenSecret: TOKEN_SECRET, store: this.store.core, clock, log: silentLog });
    const { core, store } = this;
    this.usage = createUsage({ core, store: store.usage, clock, log: silentLog, retentionMs: 2 * DAY_MS });
  }

  /** Starts again with what is on disk, as after `kill -9`. */
  async crashAndStart(carriedOver: () => void = () => undefined): Promise<void> {
    await this.store.close();
    await this.start();
    carriedOver();
    this.usage.closeCrashed();
  }

  sessionWith(tag: string | undefined, ...members: string[]): string {
    const { id } = this.core.createSession(ACCOUNT, tag === undefined ? {} : { tag });
    for (const member of members) this.core.addToSession(ACCOUNT, id, member);
    return id;
  }

  participant(tag?: string): string {
    return this.core.createParticipant(ACCOUNT, tag === undefined ? {} : { tag }).participant.id;
  }

  connection(participantId: string, seconds: number): void {
    const { connection } = connectTalking(this.core, participantId);
    this.clock.advance(seconds * 1_000);
    connection.end('left');
  }
}

export function useUsageStage(): UsageStage {
  const stage = new UsageStage();
  beforeEach(async () => {
    stage.dataDir = await mkdtemp(join(tmpdir(), 'patchbay-usage-'));
    stage.clock = new FakeClock();
    await stage.start();
  });
  afterEach(async () => {
    await stage.usage.stop();
    await stage.store.close();
    await rm(stage.dataDir, { recursive: true });
  });
  return stage;
}
