import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Core, createCore } from '../../core/index.js';
import { openStore } from '../../store/index.js';
import { readHere } from '../../store/testing/read-here.js';
import { createUsage, type Usage } from '../../usage/index.js';
import type { Clock } from '../../shared/index.js';
import { silentLog } from '../../shared/testing/index.js';

/** A core and its usage with a store on disk, in a temporary folder. */
export interface StoredCore {
  readonly core: Core;
  readonly usage: Usage;
  stop(): Promise<void>;
}

export async function startStoredCore(clock?: Clock): Promise<StoredCore> {
  const dataDir = await mkdtemp(join(tmpdir(), 'patchbay-api-'));
  const store = await openStore({ dataDir, log: silentLog, usageReader: readHere });
  const common = { log: silentLog, ...(clock ? { clock } : {}) };
  const core = createCore({ tokenSecret: store.tokenSecret, store: store.core, ...common });
  const usage = createUsage({ core, store: store.usage, ...common });
  return {
    core,
    usage,
    stop: async () => {
      await core.stop();
      await usage.stop();
      await store.close();
      await rm(dataDir, { recursive: true });
    },
  };
}
