import type { ChannelFlood, PeerState, ReceivedCounters, SentVideo } from './api.js';

const connections: RTCPeerConnection[] = [];
const channels: RTCDataChannel[] = [];

/** Records every peer connection that the client makes from now on; the client itself stays as it is. */
export function watchPeers(): void {
  globalThis.RTCPeerConnection = new Proxy(globalThis.RTCPeerConnection, {
    construct(target, args: [RTCConfiguration?]) {
      const connection = new target(...args);
      connections.push(connection);
      const create = connection.createDataChannel.bind(connection);
      connection.createDataChannel = (label, init) => {
        const channel = create(label, init);
        channels.push(channel);
        return channel;
      };
      return connection;
    },
  });
}

/** Makes the page's publishing connections use new ICE credentials in their next offer. */
export function restartIce(): void {
  for (const connection of connections) {
    if (connection.getSenders().some(({ track }) => track !== null)) connection.restartIce();
  }
}

const PACE_MS = 100;

export async function floodChannel({ channel: whose, messages, perSecond }: ChannelFlood): Promise<number> {
  const connection = connections.find((one) => one.getSenders().some(({ track }) => track !== null));
  const channel =
    whose === 'own'
      ? connection!.createDataChannel('own')
      : channels.find(({ label, readyState }) => label === '__diagnostics__' && readyState === 'open')!;
  if (channel.readyState === 'connecting') {
    // The gateway may close a channel before the page has seen it open.
    await new Promise((resolve) => {
      channel.addEventListener('open', resolve);
      channel.addEventListener('close', resolve);
    });
  }
  const portion = perSecond === undefined ? messages : (perSecond * PACE_MS) / 1000;
  let sent = 0;
  while (sent < messages && channel.readyState === 'open') {
    for (let left = portion; left > 0 && sent < messages; left -= 1, sent += 1) channel.send('x');
    if (sent < messages) await new Promise((resolve) => setTimeout(resolve, PACE_MS));
  }
  return sent;
}

export function openChannels(): number {
  return channels.filter(({ readyState }) => readyState === 'open').length;
}

/** Makes the client believe once that the page's publishing connections have failed. */
export function reportPublishFailed(): void {
  for (const connection of connections) {
    if (!connection.getSenders().some(({ track }) => track !== null)) continue;
    let told = false;
    const target = {
      get connectionState(): RTCPeerConnectionState {
        if (told) return connection.connectionState;
        told = true;
        return 'failed';
      },
    };
    connection.onconnectionstatechange?.({ target } as unknown as Event);
  }
}

type Report = Record<string, unknown> & { type: string; id: string };

async function reports(connection: RTCPeerConnection): Promise<Report[]> {
  const all: Report[] = [];
  // The DOM library types a stats report as a map that yields any.
  (await connection.getStats()).forEach((report: Report) => all.push(report));
  return all;
}

const count = (value: unknown): number => (typeof value === 'number' ? value : 0);
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Decoder counters of a received stream, by its tracks. */
export async function receivedCounters(stream: MediaStream): Promise<ReceivedCounters> {
  const trackIds = new Set(stream.getTracks().map((track) => track.id));
  const all = (await Promise.all(connections.map(reports))).flat();
  const byId = new Map(all.map((report) => [report.id, report]));
  const inbound = all.filter(
    (report) => report.type === 'inbound-rtp' && trackIds.has(text(report['trackIdentifier']) ?? ''),
  );
  const codec = (report: Report): { codec?: string } => {
    const mime = text(byId.get(text(report['codecId']) ?? '')?.['mimeType']);
    return mime === undefined ? {} : { codec: mime };
  };
  const playing = (report: Report): { playingAt?: number } => {
    const at = count(report['estimatedPlayoutTimestamp']);
    return at === 0 ? {} : { playingAt: at };
  };
  const audio = inbound.find((report) => report['kind'] === 'audio');
  const video = inbound.find((report) => report['kind'] === 'video');
  return {
    ...(audio && {
      audio: {
        packetsReceived: count(audio['packetsReceived']),
        packetsLost: count(audio['packetsLost']),
        totalSamples: count(audio['totalSamplesReceived']),
        concealedSamples: count(audio['concealedSamples']),
        totalAudioEnergy: count(audio['totalAudioEnergy']),
        ...playing(audio),
        ...codec(audio),
      },
    }),
    ...(video && {
      video: {
        framesDecoded: count(video['framesDecoded']),
        keyFramesDecoded: count(video['keyFramesDecoded']),
        framesDropped: count(video['framesDropped']),
        freezeCount: count(video['freezeCount']),
        totalFreezesSeconds: count(video['totalFreezesDuration']),
        width: count(video['frameWidth']),
        height: count(video['frameHeight']),
        ...playing(video),
        ...codec(video),
      },
    }),
  };
}

/** Rids of the published layers that have been sent. */
export async function sentLayers(): Promise<string[]> {
  const all = (await Promise.all(connections.map(reports))).flat();
  return all.flatMap((report) =>
    report.type === 'outbound-rtp' && count(report['framesSent']) > 0 ? (text(report['rid']) ?? []) : [],
  );
}

/** Of all published video. */
export async function sentVideo(): Promise<SentVideo> {
  const all = (await Promise.all(connections.map(reports))).flat();
  const sent = all.filter((report) => report.type === 'outbound-rtp' && report['kind'] === 'video');
  const sum = (name: string): number => sent.reduce((total, report) => total + count(report[name]), 0);
  return {
    bytes: sum('bytesSent'),
    frames: sum('framesSent'),
    width: Math.max(0, ...sent.map((report) => count(report['frameWidth']))),
    targetBitrate: sum('targetBitrate'),
    layers: sent.filter((report) => count(report['framesSent']) > 0).length,
  };
}

const AUDIO_LEVELS = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';

/** State of every peer connection made so far, oldest first. */
export function peerStates(): Promise<PeerState[]> {
  return Promise.all(
    connections.map(async (connection) => {
      const pair = await candidatePair(connection);
      return {
        connectionState: connection.connectionState,
        signalingState: connection.signalingState,
        role: role(connection),
        takesLevels: connection.remoteDescription?.sdp.includes(AUDIO_LEVELS) === true,
        ...pair,
      };
    }),
  );
}

function role(connection: RTCPeerConnection): PeerState['role'] {
  if (connection.localDescription?.type === 'offer') return 'publish';
  return connection.remoteDescription?.type === 'offer' ? 'subscribe' : 'unused';
}

async function candidatePair(
  connection: RTCPeerConnection,
): Promise<Pick<PeerState, 'candidatePair' | 'remoteAddress'>> {
  if (connection.connectionState === 'closed') return {};
  const all = await reports(connection);
  const byId = (id: unknown): Report | undefined => all.find((report) => report.id === id);
  const transport = all.find((report) => report.type === 'transport');
  const pair = byId(transport?.['selectedCandidatePairId']);
  if (!pair) return {};
  const [local, remote] = [byId(pair['localCandidateId']), byId(pair['remoteCandidateId'])];
  const type = (candidate: Report | undefined): string => text(candidate?.['candidateType']) ?? '?';
  return {
    candidatePair: `${type(local)}-${type(remote)}`,
    remoteAddress: text(remote?.['address']) ?? '?',
  };
}
