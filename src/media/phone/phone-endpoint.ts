import { randomInt, randomUUID } from 'node:crypto';
import { type AudioCodec, toTrackCodec } from '../codecs/index.js';
import type { Endpoint, EndpointContext } from '../endpoint.js';
import type { DecoderPool, FrameListener, MixClock } from '../audio/index.js';
import { receives } from '../sdp/index.js';
import { PublishedTrack } from '../track.js';
import type { MediaCounters, PhoneMediaEvent } from '../door.js';
import {
  type DeviceStatistics,
  type MediaDtmf,
  MediaError,
  type PhoneDescription,
  type PhoneSource,
} from '../types.js';
import { DtmfRelay } from './dtmf-sender.js';
import { type BoundPorts, PhonePorts } from './phone-ports.js';
import { type IpVersion, ipVersionOf, type PortRange } from './ports.js';
import { PhoneCrypto } from './phone-crypto.js';
import { RtcpSession, type RtcpSource } from './rtcp-session.js';
import { RtpReceiver } from './rtp-receiver.js';
import { RtpSender } from './rtp-sender.js';
import type { RtpSocket } from './rtp-socket.js';
import {
  agreeOn,
  audioOf,
  type AudioSession,
  chooseAudio,
  expectsMedia,
  isOnHold,
  type OfferedFormats,
  type ReceivedFormat,
} from './sdp/audio-session.js';
import { requireOffered } from './sdp/crypto.js';
import {
  readRemoteDescription,
  type RemoteDescription,
  type RemoteSection,
  switchesAudioOff,
} from './sdp/remote-description.js';
import { formatsToOffer, type LocalEnd, writeAnswer, writeOffer } from './sdp/local-description.js';
import { SendConsent } from './send-consent.js';

/** Frames between the checks that need no hurry: one second. */
const SLOW_FRAMES = 50;

/** What a phone needs; most of it is shared by all phones of the plane. */
interface PhoneEndpointParts {
  readonly context: EndpointContext<PhoneMediaEvent>;
  readonly ports: PortRange;
  readonly clock: MixClock;
  readonly pool: DecoderPool;
  /** The allowed codecs, in the order in which they are offered. */
  readonly codecs: readonly AudioCodec[];
  /** Whether a phone that announces this address receives there, wherever it sends from. */
  readonly isAsymmetric: (address: string) => boolean;
  readonly onClosed: () => void;
}

/** A phone in the media plane: its RTP becomes one published stream, its delivery becomes one mix. */
export class PhoneEndpoint implements Endpoint, FrameListener {
  readonly #parts: PhoneEndpointParts;
  readonly #context: EndpointContext<PhoneMediaEvent>;
  readonly #receiver: RtpReceiver;
  readonly #sender: RtpSender;
  readonly #rtcp: RtcpSession;
  readonly #crypto = new PhoneCrypto();
  readonly #relay: DtmfRelay;
  readonly #consent = new SendConsent();
  #source: PhoneSource | undefined;
  readonly #streamId = randomUUID();
  readonly #sessionId = randomInt(2 ** 47).toString();
  #version = 0;
  readonly #ports: PhonePorts;
  #session: AudioSession | undefined;
  #hasListened = false;
  /** The formats of our last offer. */
  #offered: OfferedFormats | undefined;
  #track: PublishedTrack | undefined;
  #lastMediaAt = 0;
  #mediaLost = false;
  #isHeard = false;
  #frame = 0;
  #nextSlowFrame = 0;
  #isWithheld = false;
  #framesWithheld = 0;
  #closed = false;

  constructor(parts: PhoneEndpointParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#ports = new PhonePorts({
      context: parts.context,
      range: parts.ports,
      crypto: this.#crypto,
      consent: this.#consent,
      handlers: {
        onRtp: (packet) => this.#onRtp(packet),
        onRtcp: (packet) => this.#onRtcp(packet),
      },
    });
    this.#receiver = new RtpReceiver({
      onDigit: (digit, durationMs) => this.#context.emit({ type: 'dtmf', digit, durationMs }),
      onFormat: (format) => this.#publish(format),
    });
    this.#sender = new RtpSender(parts.pool, this.#crypto, (packet) =>
      this.#ports.bound?.socket.send(packet),
    );
    this.#rtcp = new RtcpSession(`${this.#streamId}@patchbay`, (packet) =>
      this.#ports.bound?.socket.sendRtcp(this.#crypto.sealRtcp(packet)),
    );
    this.#relay = new DtmfRelay((digit, durationMs) => this.#sender.sendDtmf({ digits: digit, durationMs }));
  }

  /** Takes the phone's offer and answers, or (no offer) makes ours. Calls `EndpointContext.setStreams`. */
  async describe(sdpOffer?: string): Promise<PhoneDescription> {
    const { codecs } = this.#parts;
    if (sdpOffer === undefined) {
      const bound = this.#ports.bound ?? (await this.#ports.bind(ipVersionOf(this.#context.options.rtpHost)));
      this.#offered = formatsToOffer(this.#session, codecs);
      return this.#described(writeOffer(this.#end(bound), this.#session, this.#offered));
    }
    const offer = readRemoteDescription(sdpOffer);
    if (this.#session && this.#ports.bound && switchesAudioOff(offer))
      return this.#switchOff(offer, this.#session, this.#ports.bound);
    const choice = chooseAudio(offer, codecs);
    const session = agreeOn(choice.section, codecs);
    const bound = await this.#ports.bind(this.#versionOf(choice.section));
    this.#apply(session, bound);
    return this.#described(writeAnswer(this.#end(bound), offer, choice, session));
  }

  /** Takes the phone's answer to our offer. */
  async answer(sdpAnswer: string): Promise<PhoneDescription> {
    const { section } = chooseAudio(readRemoteDescription(sdpAnswer), this.#parts.codecs);
    const session = agreeOn(section, this.#parts.codecs, this.#offered ?? this.#session?.offered);
    requireOffered(this.#session?.crypto, session.crypto);
    this.#apply(session, await this.#ports.bind(this.#versionOf(section)));
    return this.#described('');
  }

  /** The phone switched its audio off by port 0 (RFC 3264 section 8.2): no media until its next offer. */
  #switchOff(offer: RemoteDescription, session: AudioSession, bound: BoundPorts): PhoneDescription {
    const off = { ...session, direction: 'inactive', held: true } as const;
    this.#apply(off, bound);
    return this.#described(writeAnswer(this.#end(bound), offer, undefined, off));
  }

  /** Learns where a SIP message of the phone came from. */
  signalled(source: PhoneSource, withinCall: boolean): void {
    if (source === 'trusted') this.#consent.trust();
    else this.#consent.signalled(source, withinCall);
    this.#source = source;
    if (this.#session && this.#ports.bound) this.#describePeer(this.#session, this.#ports.bound.socket);
  }

  get counters(): MediaCounters {
    return { strangers: this.#ports.strangers, framesWithheld: this.#framesWithheld };
  }

  setTracks(tracks: readonly PublishedTrack[]): void {
    this.#sender.setTracks(tracks);
    this.#relay.setTracks(tracks);
  }

  /** @throws MediaError TOO_MANY_DIGITS */
  sendDtmf(dtmf: MediaDtmf): void {
    if (this.#sender.dtmfRoom < dtmf.digits.length)
      throw new MediaError('TOO_MANY_DIGITS', 'Too many digits wait to be sent to the phone.');
    this.#sender.sendDtmf(dtmf);
  }

  statistics(): DeviceStatistics {
    return {
      packetsReceived: this.#receiver.packets,
      bytesReceived: this.#receiver.bytes,
      packetsSent: this.#sender.packets,
      bytesSent: this.#sender.bytes,
      packetsLost: this.#receiver.reception?.packetsLost ?? 0,
      jitterMs: this.#receiver.reception?.jitterMs ?? 0,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.clock.remove(this);
    this.#rtcp.bye(this.#rtcpSource(), this.#sender.timestampOf(this.#frame), performance.now());
    this.#relay.close();
    this.#sender.close();
    this.#track?.end();
    await this.#ports.close();
    this.#parts.onClosed();
  }

  onFrame(frame: number): void {
    this.#frame = frame;
    const now = performance.now();
    if (this.#ports.bound?.socket.maySend(now)) {
      this.#isWithheld = false;
      this.#sender.onFrame(frame);
    } else this.#withhold();
    this.#receiver.poll(now);
    this.#relay.poll(now);
    // Compared by size, since any frame may be skipped.
    if (frame < this.#nextSlowFrame) return;
    this.#nextSlowFrame = frame + SLOW_FRAMES;
    this.#onSecond(now);
  }

  /** Skips a frame: a mix that must not be sent is not made. */
  #withhold(): void {
    this.#sender.pause();
    if (!this.#session || !receives(this.#session.direction)) return;
    this.#framesWithheld += 1;
    if (this.#isWithheld) return;
    this.#isWithheld = true;
    this.#context.log.debug({}, 'No media is sent to the phone until it gives a sign of life.');
  }

  #onSecond(now: number): void {
    this.#ports.bound?.socket.maintain(now);
    this.#rtcp.onTime(this.#rtcpSource(), this.#sender.timestampOf(this.#frame), now);
    if (!this.#session || !expectsMedia(this.#session)) {
      this.#lastMediaAt = now;
      return;
    }
    if (this.#mediaLost || now - this.#lastMediaAt < this.#context.options.mediaTimeoutMs) return;
    this.#mediaLost = true;
    this.#context.emit({ type: 'mediaLost', cause: 'timeout' });
  }

  #onRtp(sealed: Buffer): boolean {
    const now = performance.now();
    const packet = this.#crypto.openRtp(sealed);
    if (!packet || !this.#receiver.onPacket(packet, now)) return false;
    this.#lastMediaAt = now;
    this.#mediaLost = false;
    if (!this.#isHeard && this.#receiver.packets > 0) {
      this.#isHeard = true;
      this.#context.emit({ type: 'heard' });
    }
    return true;
  }

  #onRtcp(sealed: Buffer): boolean {
    const packet = this.#crypto.openRtcp(sealed);
    if (!packet) return false;
    const now = performance.now();
    // A phone that suppresses silence still sends reports: it is there.
    this.#lastMediaAt = now;
    this.#rtcp.onPacket(packet, this.#receiver.reception, now);
    return true;
  }

  /** A description without an address (hold, or a host name) keeps the address family in use. */
  #versionOf(section: RemoteSection): IpVersion {
    const { bound } = this.#ports;
    return section.address === undefined && bound ? bound.version : section.ipVersion;
  }

  /** Applies a newly agreed session. */
  #apply(session: AudioSession, bound: BoundPorts): void {
    this.#session = session;
    this.#lastMediaAt = performance.now();
    this.#crypto.apply(session.crypto);
    this.#hasListened ||= receives(session.direction);
    this.#receiver.agree(session, this.#isHeld() && this.#context.options.passHeldAudio !== true);
    this.#describePeer(session, bound.socket);
    this.#sender.configure(session, this.#context.options.opusDtx);
    this.#parts.clock.add(this);
  }

  #describePeer({ peer, rtcpPeer, rtcpMux, crypto }: AudioSession, socket: RtpSocket): void {
    const source = this.#source;
    socket.describe({
      announced: peer,
      rtcp: rtcpPeer,
      mux: rtcpMux,
      secure: crypto !== undefined,
      asymmetric: peer !== undefined && this.#parts.isAsymmetric(peer.address),
      announcedOnly: source === 'trusted',
      signallingHost:
        source !== undefined && source !== 'trusted' && source.isDirect ? source.address : undefined,
    });
  }

  /** Subscribers notice only a change of codec: then the old track ends and a new one replaces it. */
  #publish(format: ReceivedFormat): PublishedTrack {
    const codec = toTrackCodec(format.codec, format.fmtp);
    const old = this.#track;
    if (old && old.codec.name === codec.name && old.codec.fmtp === codec.fmtp) return old;
    const track = new PublishedTrack({ kind: 'audio', streamId: this.#streamId, codec });
    this.#track = track;
    this.#context.setStreams([{ streamId: this.#streamId, tracks: [track] }]);
    old?.end();
    return track;
  }

  #described(sdp: string): PhoneDescription {
    return {
      sdp,
      held: this.#isHeld(),
      ...(this.#track ? { stream: { streamId: this.#streamId, kinds: ['audio'] } } : {}),
      ...(this.#session ? { audio: audioOf(this.#session) } : {}),
    };
  }

  #isHeld(): boolean {
    return this.#session !== undefined && isOnHold(this.#session, this.#hasListened);
  }

  #end(bound: BoundPorts): LocalEnd {
    this.#version += 1;
    return {
      address: bound.announced,
      port: bound.socket.port,
      sessionId: this.#sessionId,
      version: this.#version,
      keyFor: (suite) => this.#crypto.keyFor(suite),
      opusDtx: this.#context.options.opusDtx ?? false,
    };
  }

  #rtcpSource(): RtcpSource {
    const { ssrc, packets, octets } = this.#sender;
    return { ssrc, packets, octets, reception: this.#receiver.reception };
  }
}
