import { signal } from '@preact/signals';

/** How the media of this page get through. */
type MediaPath =
  | { readonly state: 'connecting' }
  /** Nothing got through within a time in which everything does where UDP is open. */
  | { readonly state: 'blocked' }
  | {
      readonly state: 'open';
      /** Share of packets that were lost lately, both ways; absent: nothing measured yet. */
      readonly lost?: number;
      readonly roundTripMs?: number;
    };

/** ICE takes one or two seconds where it succeeds at all. */
const BLOCKED_MS = 8_000;
const MEASURE_MS = 3_000;

/** The peer connections of this page: the published client does not show its own. */
const opened = new Set<RTCPeerConnection>();

globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(configuration?: RTCConfiguration) {
    super(configuration);
    opened.add(this);
  }

  override close(): void {
    opened.delete(this);
    super.close();
  }
};

interface Counters {
  readonly packets: number;
  readonly lost: number;
  readonly roundTripMs?: number;
}

/** Watches how media get through, from joining to leaving. */
export class MediaPathWatch {
  readonly path = signal<MediaPath>({ state: 'connecting' });
  readonly #timer = setInterval(() => void this.#look(), MEASURE_MS);
  /** When a connection was first seen that is not connected; absent: all are. */
  #waitingSince: number | undefined;
  #last: Counters = { packets: 0, lost: 0 };

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const connections = [...opened].filter(({ connectionState }) => connectionState !== 'closed');
    // A page that receives nothing has a connection for which nothing was agreed.
    const started = connections.filter(({ currentRemoteDescription }) => currentRemoteDescription !== null);
    if (started.length === 0) return;
    if (started.every(({ connectionState }) => connectionState === 'connected')) {
      this.#waitingSince = undefined;
      this.path.value = { state: 'open', ...(await this.#measured(started)) };
      return;
    }
    this.#waitingSince ??= performance.now();
    const isBlocked = performance.now() - this.#waitingSince > BLOCKED_MS;
    this.path.value = { state: isBlocked ? 'blocked' : 'connecting' };
  }

  /** What was lost since the last time. */
  async #measured(
    connections: readonly RTCPeerConnection[],
  ): Promise<{ lost?: number; roundTripMs?: number }> {
    const reports = await Promise.all(connections.map((connection) => connection.getStats()));
    const now = sum(reports.map(countersOf));
    const [packets, lost] = [now.packets - this.#last.packets, now.lost - this.#last.lost];
    this.#last = now;
    return {
      ...(packets + lost > 0 && packets >= 0 && { lost: Math.max(0, lost) / (packets + Math.max(0, lost)) }),
      ...(now.roundTripMs !== undefined && { roundTripMs: now.roundTripMs }),
    };
  }
}

/** What a report says of packets that arrived here, and of those that the gateway says have arrived there. */
function countersOf(report: RTCStatsReport): Counters {
  let [packets, lost] = [0, 0];
  let roundTripMs: number | undefined;
  report.forEach((entry: Partial<Record<string, unknown>> & { readonly type: string }) => {
    const number = (name: string): number => (typeof entry[name] === 'number' ? entry[name] : 0);
    if (entry.type === 'inbound-rtp') packets += number('packetsReceived');
    if (entry.type === 'outbound-rtp') packets += number('packetsSent');
    if (entry.type === 'inbound-rtp' || entry.type === 'remote-inbound-rtp') lost += number('packetsLost');
    if (entry.type === 'candidate-pair' && entry['nominated'] === true)
      roundTripMs = 1000 * number('currentRoundTripTime');
  });
  return { packets, lost, ...(roundTripMs !== undefined && { roundTripMs }) };
}

function sum(counters: readonly Counters[]): Counters {
  const roundTrips = counters.flatMap(({ roundTripMs }) => roundTripMs ?? []);
  return {
    packets: counters.reduce((total, { packets }) => total + packets, 0),
    lost: counters.reduce((total, { lost }) => total + lost, 0),
    ...(roundTrips.length > 0 && { roundTripMs: Math.max(...roundTrips) }),
  };
}

/** Losses and round trips above which speech is worse, and bad. */
const FAIR = { lost: 0.02, roundTripMs: 250 };
const POOR = { lost: 0.08, roundTripMs: 500 };

/** In words, for the one who sits before the page. */
export function pathText(path: MediaPath): string {
  switch (path.state) {
    case 'connecting':
      return 'Looking for a way for sound …';
    case 'blocked':
      return (
        'No sound gets through: something blocks UDP between this browser and the gateway. Try another network, or ' +
        'ask whoever runs the gateway to open its WebRTC port or to offer a TURN server.'
      );
    case 'open': {
      const { lost = 0, roundTripMs = 0 } = path;
      const exceeds = (limit: typeof FAIR): boolean => lost > limit.lost || roundTripMs > limit.roundTripMs;
      const grade = exceeds(POOR) ? 'poor' : exceeds(FAIR) ? 'fair' : 'good';
      const loss = path.lost === undefined ? '' : `, ${(100 * lost).toFixed(0)} % lost`;
      const delay =
        path.roundTripMs === undefined ? '' : ` (round trip ${Math.round(roundTripMs)} ms${loss})`;
      return `Network: ${grade}${delay}`;
    }
  }
}
