import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingLog } from '../../devices/phone/testing/fakes.js';
import { HostFolder } from './folder.js';
import { Supervisor } from './supervisor.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'patchbay-supervisor-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

/** Listens and says so, but never answers; its arguments are those of a media host. */
const SILENT = `require('net').createServer().listen(process.argv[4], () => console.log('listens'))`;

describe('the hosts that an earlier gateway left', () => {
  it('are killed when they hang, so that their ports are free for what is restored', async () => {
    const folder = await HostFolder.open(dataDir);
    const id = HostFolder.newId();
    const host = spawn(process.execPath, ['-e', SILENT, 'media-host', dataDir, id, folder.socketOf(id)]);
    const ended = once(host, 'exit');
    await once(host.stdout, 'data');
    const { log, lines } = recordingLog();
    const supervisor = new Supervisor(
      {
        dataDir,
        hosts: 0,
        program: '',
        version: '1.0.0',
        handoverMs: 60_000,
        media: {
          rtpHost: '127.0.0.1',
          rtpPorts: [30_000, 30_999],
          webrtcHost: '127.0.0.1',
          mediaTimeoutMs: 60_000,
        },
        webrtcPort: 0,
        welcomeMs: 100,
        onSuperseded: () => undefined,
      },
      { onHost: () => undefined, onLost: () => undefined, log },
    );
    await supervisor.start();
    expect(supervisor.links).toEqual([]);
    expect((await ended)[1]).toBe('SIGKILL');
    expect(await folder.ids()).toEqual([]);
    expect(lines.join('')).toContain('hangs and is killed');
    await supervisor.stop();
  });
});
