/**
 * A process of bench/hosts.ts that has the media plane of a gateway, with so many media hosts. It opens a phone for each
 * port that it gets, and answers with the hosts' processes and the phones' ports; later, when asked, with the frames that
 * came too late.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/app/version.js';
import { findAudioCodec } from '../../src/media/codecs/index.js';
import { type MediaPlane, startMediaHosts } from '../../src/media/index.js';

/** What the process is told, one after the other. */
export type Order =
  | {
      readonly type: 'open';
      readonly hosts: number;
      readonly peerPorts: readonly number[];
      readonly inSession: number;
    }
  | { readonly type: 'late' }
  | { readonly type: 'stop' };

/** What it answers. */
export interface Opened {
  readonly pids: readonly number[];
  readonly ports: readonly number[];
}

const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-bench-'));
let plane: MediaPlane;

async function open({ hosts, peerPorts, inSession }: Extract<Order, { type: 'open' }>): Promise<Opened> {
  const pids: number[] = [];
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
  const { payloadType } = findAudioCodec('PCMU', 8000)!;
  const phones = peerPorts.map((port, i) => {
    const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
    const sdpOffer = [...lines, `m=audio ${port} RTP/AVP ${payloadType}`, ''].join('\r\n');
    const sessionId = `session ${Math.floor(i / inSession)}`;
    return plane.open({ kind: 'phone', deviceId: `${i}`, sessionId, sdpOffer }, () => undefined);
  });
  const descriptions = await Promise.all(phones.map(({ opened }) => opened));
  for (const [i, phone] of phones.entries()) {
    const first = i - (i % inSession);
    const others = descriptions.slice(first, first + inSession).filter((_, at) => first + at !== i);
    await phone.setDelivery(others.map(({ stream }) => ({ streamId: stream!.streamId, kinds: ['audio'] })));
  }
  return { pids, ports: descriptions.map(({ sdp }) => Number(/m=audio (\d+)/.exec(sdp)![1])) };
}

async function obey(order: Order): Promise<void> {
  switch (order.type) {
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
