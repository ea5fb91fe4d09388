import { access, constants } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type AnnouncementsPart, createAnnouncements } from '../announcements/index.js';
import type { Core } from '../core/index.js';
import type { MediaPlane } from '../media/index.js';
import { describeError } from '../shared/index.js';
import { TargetGuard } from '../usage/index.js';
import { measureAnnouncements } from './metrics/announcements.js';
import type { Config } from './read-config.js';
import { StartError } from './start-error.js';
import type { Teardown } from './teardown.js';

/** @throws StartError when the waiting music cannot be read */
export async function startAnnouncements(
  config: Config,
  log: Logger,
  teardown: Teardown,
  { core, media, metrics }: { core: Core; media: MediaPlane; metrics: Registry },
): Promise<AnnouncementsPart> {
  await checkMusic(config.announcements.waiting.music);
  const announcements = await createAnnouncements({
    core,
    media,
    // Sounds are fetched from where webhooks may be sent to.
    guard: new TargetGuard(config.usage.webhooks.targets),
    dataDir: config.dataDir,
    ...config.announcements,
    log: log.child({ part: 'announcements' }),
  });
  teardown.add('announcements', () => announcements.stop());
  measureAnnouncements(metrics, announcements);
  return announcements;
}

async function checkMusic(path: string | undefined): Promise<void> {
  if (path === undefined || path === 'tone:music') return;
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new StartError(`PATCHBAY_WAITING_MUSIC: ${path} cannot be read: ${describeError(error)}.`, {
      cause: error,
    });
  }
}
