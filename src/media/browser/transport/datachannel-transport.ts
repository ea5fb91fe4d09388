import nodeDataChannel, { type PeerConnection, type RtcConfig, type Track } from 'node-datachannel';
import { MediaError } from '../../types.js';
import { type Log, withinLimit } from '../../../shared/index.js';
import { Channels } from './channels.js';
import { InflowLimit } from './inflow-limit.js';
import {
  MAX_DATA_MESSAGE,
  type OfferedTransport,
  type TransportHandlers,
  type TransportState,
  type TransportDescription,
} from './transport.js';
import { isRtcp, readUint32, rtpSsrc } from '../../rtp/index.js';

/** More SSRCs than the streams of any session bring to one transport in all its life. */
export const MAX_SOURCES = 4_096;

const SHORTEST_PACKET = 12;

const RTCP_SSRC_OFFSET = 4;

/**
 * The transport library sees an SDP with one fake audio m-line, whatever the browser negotiates. With a single
 * m-line it hands up and sends every SRTP and SRTCP packet regardless of its SSRC. This is the mid of that m-line.
 */
export const MEDIA_MID = '0';

const MEDIA_PAYLOAD_TYPE = 111;

const DATA_MID = '1';

/** The library makes a connection's track at once; if it takes longer than this, it is stuck. */
const TRACK_TIMEOUT_MS = 5_000;

/** Far above what a camera, a screen and audio need, and below what would take all of our thread's time. */
const MEDIA_RATES = {
  messages: { burst: 20_000, perSecond: 5_000 },
  bytes: { burst: 32_000_000, perSecond: 8_000_000 },
};

interface DataChannelTransportOptions {
  readonly config: RtcConfig;
  readonly local: TransportDescription;
  readonly handlers: TransportHandlers;
  /** The library's connection is closed. */
  readonly onFreed: () => void;
  readonly log: Log;
}

/**
 * A transport whose local parameters are chosen here, so that the library starts only when the remote ones are
 * known, and always as the answerer: as the offerer it would let DTLS start before it has the fingerprint to
 * check.
 */
export class DataChannelTransport implements OfferedTransport {
  readonly local: TransportDescription;
  readonly #options: DataChannelTransportOptions;
  #handlers: TransportHandlers | undefined;
  #connection: PeerConnection | undefined;
  #track: Track | undefined;
  #channels: Channels | undefined;
  readonly #sources = new SourceGuard();
  readonly #media = new InflowLimit(MEDIA_RATES);
  #abused = false;
  #freed = false;
  /** The state of the connection as the library reports it. */
  #connectionState: TransportState = 'connecting';
  #state: TransportState = 'connecting';

  constructor(options: DataChannelTransportOptions) {
    this.#options = options;
    this.#handlers = options.handlers;
    this.local = options.local;
  }

  get hasData(): boolean {
    return this.#channels !== undefined;
  }

  get state(): TransportState {
    return this.#state;
  }

  accept(remote: TransportDescription): void {
    this.#start(this.#describe(remote, { controlled: true })).catch((error: unknown) => {
      if (this.#state === 'closed') return;
      this.#options.log.warn({ err: error }, 'A WebRTC transport did not open');
      this.#stateChanged('failed');
    });
  }

  /** In place of {@link accept}, for a transport that the other end offered. */
  async open(remote: TransportDescription, withData: boolean): Promise<void> {
    await this.#start(this.#describe(remote, { withData }));
  }

  send(packet: Buffer): boolean {
    if (this.#state !== 'connected' || !this.#track) return false;
    try {
      return this.#track.sendMessageBinary(packet);
    } catch {
      // The library throws when the connection has just gone; its state change follows.
      return false;
    }
  }

  sendDiagnostics(message: string): void {
    this.#channels?.sendDiagnostics(message);
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#handlers = undefined;
    this.#channels?.stop();
    // `#shut` frees an abused transport once its channels are drained.
    if (!this.#abused) this.free();
  }

  /** Closes the library's connection, if that is not done. */
  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    this.#connection?.close();
    this.#options.onFreed();
  }

  /** Gives the library the other end's parameters. @returns the track that it makes of them */
  #describe(remote: TransportDescription, options: TransportSdpOptions): Promise<Track> {
    if (this.#connection) throw new MediaError('INVALID_STATE', 'The transport has its parameters already.');
    try {
      const connection = new nodeDataChannel.PeerConnection('transport', this.#options.config);
      this.#connection = connection;
      connection.onStateChange((state) => {
        this.#connectionState = transportState(state);
        this.#follow();
      });
      const track = new Promise<Track>((resolve) => connection.onTrack(resolve));
      connection.setRemoteDescription(writeTransportSdp(remote, options), 'offer');
      if (options.withData === true) {
        this.#channels = new Channels(connection, {
          onHeartbeat: () => this.#handlers?.onHeartbeat(),
          onAbuse: () => this.#shut('A page sent too much on its data channels'),
        });
      }
      return track;
    } catch (error) {
      throw new MediaError('BAD_SDP', 'The transport parameters of the SDP are not usable.', {
        cause: error,
      });
    }
  }

  /** Answers the other end, which may connect from now on. */
  async #start(made: Promise<Track>): Promise<void> {
    const track = await withinLimit(
      made,
      TRACK_TIMEOUT_MS,
      () => new MediaError('INVALID_STATE', 'The transport made no track.'),
    );
    if (this.#state === 'closed') return;
    this.#track = track;
    track.onOpen(() => this.#follow());
    track.onMessage((packet) => this.#receive(packet));
    const { iceUfrag, icePwd } = this.local;
    this.#connection?.setLocalDescription('answer', { iceUfrag, icePwd });
  }

  #receive(packet: Buffer): void {
    if (this.#abused) return;
    if (!this.#media.admits(packet.length, performance.now())) {
      this.#shut('A WebRTC transport brought too many packets');
    } else if (!this.#sources.admits(packet)) {
      this.#shut('A WebRTC transport brought too many sources');
    } else {
      this.#handlers?.onPacket(packet);
    }
  }

  /** Stops handing up packets; the owner is told, and closes the transport. */
  #shut(why: string): void {
    if (this.#abused || this.#state === 'closed') return;
    this.#abused = true;
    this.#options.log.warn({}, why);
    void this.#freeQuietly();
    this.#handlers?.onAbuse();
    this.#stateChanged('failed');
  }

  async #freeQuietly(): Promise<void> {
    await this.#channels?.drained();
    this.free();
  }

  /** The library says that it is connected before it opens the track, which takes no packets until then. */
  #follow(): void {
    if (this.#connectionState !== 'connected' || this.#track?.isOpen() === true) {
      this.#stateChanged(this.#connectionState);
    }
  }

  #stateChanged(next: TransportState): void {
    if (this.#state === 'closed' || next === this.#state) return;
    this.#state = next;
    this.#handlers?.onState(next);
  }
}

function transportState(state: string): TransportState {
  switch (state) {
    case 'connected':
    case 'disconnected':
    case 'failed':
      return state;
    case 'closed':
      // Closed by the other end (DTLS close_notify): as dead as failed, but the object is still ours to close.
      return 'failed';
    default:
      return 'connecting';
  }
}

interface TransportSdpOptions {
  /** With a section for the clients' data channels. */
  readonly withData?: boolean;
  /**
   * Makes the library take the controlling role in ICE, as it does toward a lite end (RFC 8445 section
   * 6.1.1).
   */
  readonly controlled?: boolean;
}

/** The SDP of a remote end with these parameters, for the library. */
export function writeTransportSdp(remote: TransportDescription, options: TransportSdpOptions = {}): string {
  const { withData = false, controlled = false } = options;
  const mids = withData ? `${MEDIA_MID} ${DATA_MID}` : MEDIA_MID;
  const transport = [
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${remote.iceUfrag}`,
    `a=ice-pwd:${remote.icePwd}`,
    `a=fingerprint:${remote.fingerprint}`,
    `a=setup:${remote.setup}`,
  ];
  const media = [
    `m=audio 9 UDP/TLS/RTP/SAVPF ${String(MEDIA_PAYLOAD_TYPE)}`,
    ...transport,
    `a=mid:${MEDIA_MID}`,
    'a=sendrecv',
    'a=rtcp-mux',
    `a=rtpmap:${String(MEDIA_PAYLOAD_TYPE)} opus/48000/2`,
    ...remote.candidates.map((candidate) => `a=candidate:${candidate}`),
  ];
  const data = [
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    ...transport,
    `a=mid:${DATA_MID}`,
    'a=sctp-port:5000',
    `a=max-message-size:${String(MAX_DATA_MESSAGE)}`,
  ];
  const session = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    `a=group:BUNDLE ${mids}`,
    ...(controlled ? ['a=ice-lite'] : []),
  ];
  return [...session, ...media, ...(withData ? data : []), ''].join('\r\n');
}

/**
 * Counts the SSRCs that come by one transport. The SRTP library keeps a context for each, and searches all of them
 * for each packet: a peer that invents SSRCs without end would slow everybody down.
 */
class SourceGuard {
  readonly #seen = new Set<number>();

  /** @returns false when the packet has one SSRC too many */
  admits(packet: Buffer): boolean {
    // The library rejects shorter packets, and keeps no context for them.
    if (packet.length < SHORTEST_PACKET) return true;
    const ssrc = isRtcp(packet) ? readUint32(packet, RTCP_SSRC_OFFSET) : rtpSsrc(packet);
    if (this.#seen.has(ssrc)) return true;
    if (this.#seen.size >= MAX_SOURCES) return false;
    this.#seen.add(ssrc);
    return true;
  }
}
