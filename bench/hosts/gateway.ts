/**
 * A process of bench/hosts.ts and bench/capacity.ts that has the media plane of a gateway, with so many media hosts. It
 * opens a phone for each port that it gets, at first and again, and answers with the hosts' processes and the ports of the
 * phones that it opened; when asked, with the frames that came too late.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/app/version.js';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import { type MediaPlane, startMediaHosts } from '../../src/media/index.js';

/** What the process is told, one after the other. */
export type Order =
  | { readonly type: 'start'; readonly hosts: number }
  /** Opens a phone for each port; each hears the others of its session, which are the next so many. */
  | { readonly type: 'open'; readonly peerPorts: readonly number[]; readonly inSession: number }
  | { readonly type: 'late' }
  | { readonly type: 'stop' };

const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-bench-'));
let plane: MediaPlane;
let opened = 0;

/** @returns the hosts' processes */
async function start(hosts: number): Promise<number[]> {
  const pids: number[] = [];
  // Hosts are plain JavaScript: without the loader of TypeScript, which takes memory and a thread.
  process.execArgv.length = 0;
  plane = await startMediaHosts(
    {
      dataDir,
      hosts,
      program: 'dist/media-host.js',
      version: VERSION,
      handoverMs: 10_000,
      media: {
        rtpHost: '127.0.0.1',
        rtpPorts: [20_000, 29_999],
        webrtcHost: '127.0.0.1',
        mediaTimeoutMs: 60_000,
      },
      webrtcPort: 0,
      onSuperseded: () => undefined,
    },
    ({ fields }) => {
      if (typeof fields['hostPid'] === 'number') pids.push(fields['hostPid']);
    },
  );
  await plane.releaseCarried();
  return pids;
}

/** @returns the phones' ports */
async function open({ peerPorts, inSession }: Extract<Order, { type: 'open' }>): Promise<number[]> {
  const { payloadType } = findAudioCodec('PCMU', 8000)!;
  const phones = peerPorts.map((port, i) => {
    const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
    const sdpOffer = [...lines, `m=audio ${port} RTP/AVP ${payloadType}`, ''].join('\r\n');
    const number = opened + i;
    const sessionId = `session ${Math.floor(number / inSession)}`;
    return plane.open({ kind: 'phone', deviceId: `${number}`, sessionId, sdpOffer }, () => undefined);
  });
  opened += peerPorts.length;
  const descriptions = await Promise.all(phones.map(({ opened }) => opened));
  for (const [i, phone] of phones.entries()) {
    const first = i - (i % inSession);
    const others = descriptions.slice(first, first + inSession).filter((_, at) => first + at !== i);
    await phone.setDelivery(others.map(({ stream }) => ({ streamId: stream!.streamId, kinds: ['audio'] })));
  }
  return descriptions.map(({ sdp }) => Number(/m=audio (\d+)/.exec(sdp)![1]));
}

async function obey(order: Order): Promise<void> {
  switch (order.type) {
    case 'start':
      process.send!(await start(order.hosts));
      return;
    case 'open':
      process.send!(await open(order));
      return;
    case 'late':
      process.send!(plane.load().framesSkipped);
      return;
    case 'stop':
      await plane.stop();
      rmSync(dataDir, { recursive: true, force: true });
      process.exit();
  }
}

process.on('message', (order: Order) => void obey(order));
