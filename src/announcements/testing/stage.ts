import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACCOUNT, coreForTests, FakeDevice } from '../../core/testing/index.js';
import type { AskedEvent, DeviceKind, MediaType } from '../../core/index.js';
import {
  type FileDoor,
  type FileHandle,
  type FileMediaEvent,
  type FileSpec,
  MediaError,
  type MediaListener,
} from '../../media/index.js';
import { FakeMediaPlane } from '../../media/testing/fake-plane.js';
import { silentLog } from '../../shared/testing/index.js';
import { TargetGuard } from '../../usage/index.js';
import { createAnnouncements } from '../index.js';

/** The part of a fake media plane that plays files: it writes them down. */
class FakeFiles implements FileDoor {
  readonly specs: FileSpec[] = [];
  readonly #plane = new FakeMediaPlane();

  /** Ids of files that were closed. */
  get closed(): readonly string[] {
    return this.#plane.closed;
  }

  /** Set: files cannot be opened. */
  set refuses(refuses: boolean) {
    this.#plane.fileFailure = refuses ? new MediaError('BAD_FILE', 'The file cannot be read.') : undefined;
  }

  open(spec: FileSpec, listener: MediaListener<FileMediaEvent>): FileHandle {
    this.specs.push(spec);
    return this.#plane.open(spec, listener);
  }

  /** The open files that a device hears. */
  heardBy(listenerId: string): readonly FileSpec[] {
    const { present } = this.#plane;
    return this.specs.filter((spec) => spec.listenerId === listenerId && present.includes(spec.deviceId));
  }

  emit(deviceId: string, event: FileMediaEvent): void {
    this.#plane.emit(deviceId, event);
  }
}

type Options = Partial<Parameters<typeof createAnnouncements>[0]>;

/** Announcements over a core in memory and a media plane that writes down what it is to play. */
export async function announcementStage(options: Options = {}) {
  const { core, clock } = coreForTests();
  const media = new FakeFiles();
  const dataDir = mkdtempSync(join(tmpdir(), 'announcements-'));
  const part = await createAnnouncements({
    core,
    media,
    guard: new TargetGuard({}),
    dataDir,
    uploads: { maxBytes: 1_048_576, accountBytes: 4 * 1_048_576 },
    cacheBytes: 100 * 1_048_576,
    maxSeconds: 60,
    players: { players: 100, playersPerAccount: 100 },
    waiting: { when: ['no-session', 'alone', 'nobody-publishes'] },
    joinTones: false,
    clock,
    log: silentLog,
    ...options,
  });
  part.start();
  const reports: string[] = [];
  core.on('announcement', ({ participant, state, cause }) => {
    reports.push(`${participant.tag ?? ''} ${state}${cause === undefined ? '' : `: ${cause}`}`);
  });
  const participant = (tag: string, publishPermissions: readonly MediaType[] = ['audio']): string => {
    const events: readonly AskedEvent[] = ['announcement'];
    return core.createParticipant(ACCOUNT, { tag, events, publishPermissions }).participant.id;
  };
  const connect = (participantId: string, kind: DeviceKind = 'phone') => {
    const device = new FakeDevice(randomUUID(), kind);
    return { device, connection: core.connect(participantId, device, { replace: true }) };
  };
  return {
    core,
    clock,
    media,
    part,
    announcements: part.announcements,
    dataDir,
    reports,
    /** A file is played to its end, and its listener has heard it. */
    finish: (deviceId: string) => {
      media.emit(deviceId, { type: 'ended' });
      clock.advance(400);
    },
    participant,
    connect,
    /** A participant of a session that hears everybody in it, with a device. */
    member: (sessionId: string, tag: string, kind?: DeviceKind) => {
      const id = participant(tag);
      core.addToSession(ACCOUNT, sessionId, id, { sessionId });
      return { id, ...connect(id, kind) };
    },
    stop: async () => {
      await part.stop();
      await core.stop();
      rmSync(dataDir, { recursive: true });
    },
  };
}
