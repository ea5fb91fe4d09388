import { randomUUID } from 'node:crypto';
import { type AudioCodec, toTrackCodec } from '../codecs/index.js';
import type { Endpoint, EndpointContext } from '../endpoint.js';
import { DtmfRelay, type FrameListener, type MixClock, type MixGroups } from '../audio/index.js';
import { PublishedTrack } from '../track.js';
import type { MediaCounters, PhoneMediaEvent } from '../door.js';
import {
  type DeviceStatistics,
  type MediaDtmf,
  MediaError,
  type PhoneDescription,
  type PhoneSource,
} from '../types.js';
import { MediaWatch } from './media-watch.js';
import { Negotiation } from './negotiation.js';
import { type BoundPorts, PhonePorts } from './phone-ports.js';
import { type IpVersion, ipVersionOf, type PortRange } from './ports.js';
import { type CryptoBefore, PhoneCrypto } from './phone-crypto.js';
import { PhoneQuality } from './phone-quality.js';
import { type PhoneBefore, writePhoneState } from './phone-state.js';
import { RtcpSession, type RtcpSource } from './rtcp-session.js';
import { RtpReceiver } from './rtp-receiver.js';
import { RtpSender, skippedBy } from './rtp-sender.js';
import type { RtpSocket } from './rtp-socket.js';
import { audioOf, type AudioSession, type ReceivedFormat } from './sdp/audio-session.js';
import type { RemoteSection } from './sdp/remote-description.js';
import { SendConsent } from './send-consent.js';

/** Frames between the checks for what ends because nothing comes any more: 100 ms... */
const POLL_FRAMES = 5;
/** ...and between those that need no hurry: one second. */
const SLOW_FRAMES = 50;

/** What a phone needs; most of it is shared by all phones of the plane. */
interface PhoneEndpointParts {
  readonly context: EndpointContext<PhoneMediaEvent>;
  readonly ports: PortRange;
  readonly clock: MixClock;
  readonly groups: MixGroups;
  /** The allowed codecs, in the order in which they are offered. */
  readonly codecs: readonly AudioCodec[];
  /** Whether phones may be sent anything now; another machine may have their calls. */
  readonly maySendToPhones: (nowMs: number) => boolean;
  /** Whether a phone that announces this address receives there, wherever it sends from. */
  readonly isAsymmetric: (address: string) => boolean;
  readonly onClosed: () => void;
  /** The phone in the process that died, whose media go on here. */
  readonly before?: PhoneBefore | undefined;
}

/** A phone in the media plane: its RTP becomes one published stream, its delivery becomes one mix. */
export class PhoneEndpoint implements Endpoint, FrameListener {
  readonly #parts: PhoneEndpointParts;
  readonly #context: EndpointContext<PhoneMediaEvent>;
  readonly #receiver: RtpReceiver;
  readonly #sender: RtpSender;
  readonly #rtcp: RtcpSession;
  readonly #quality: PhoneQuality;
  /** Until the phone's media go on. */
  #before: PhoneBefore | undefined;
  readonly #crypto: PhoneCrypto;
  readonly #relay: DtmfRelay;
  readonly #consent: SendConsent;
  #source: PhoneSource | undefined;
  readonly #streamId: string;
  readonly #ports: PhonePorts;
  readonly #negotiation: Negotiation;
  #track: PublishedTrack | undefined;
  readonly #watch: MediaWatch;
  #frame = 0;
  #nextPoll = 0;
  #nextSlowFrame = 0;
  /** The codec that the phone sends has changed since the last `state` event. */
  #isStale = false;
  #closed = false;

  constructor(parts: PhoneEndpointParts) {
    this.#parts = parts;
    this.#context = parts.context;
    this.#watch = new MediaWatch(parts.context);
    const { before, clock } = parts;
    this.#before = before;
    const state = before?.state;
    this.#streamId = state?.streamId ?? randomUUID();
    this.#source = state?.source;
    this.#consent = new SendConsent(state?.consent);
    this.#crypto = new PhoneCrypto(performance.now(), before && cryptoBefore(before));
    this.#negotiation = new Negotiation({
      codecs: parts.codecs,
      opusDtx: parts.context.options.opusDtx ?? false,
      crypto: this.#crypto,
      before: state?.negotiation,
    });
    this.#ports = new PhonePorts({
      context: parts.context,
      range: parts.ports,
      crypto: this.#crypto,
      consent: this.#consent,
      handlers: {
        onRtp: (packet, nowMs) => this.#onRtp(packet, nowMs),
        onRtcp: (packet) => this.#onRtcp(packet),
        onMoved: () => this.#stateChanged(),
      },
    });
    this.#receiver = new RtpReceiver({
      onDigit: (digit, durationMs) => this.#context.emit({ type: 'dtmf', digit, durationMs }),
      onFormat: (format) => this.#publish(format),
      onAudio: (packet, offset, end, now) => this.#quality.onAudio(packet, offset, end, now),
    });
    this.#sender = new RtpSender(
      parts.groups,
      this.#crypto,
      (packet) => this.#ports.bound?.socket.send(packet),
      before && { state: before.state.stream, ageMs: before.ageMs, frame: clock.present },
    );
    this.#rtcp = new RtcpSession(`${this.#streamId}@patchbay`, (packet) => {
      if (parts.maySendToPhones(performance.now()))
        this.#ports.bound?.socket.sendRtcp(this.#crypto.sealRtcp(packet));
    });
    this.#quality = new PhoneQuality({
      receiver: this.#receiver,
      sender: this.#sender,
      reports: this.#rtcp.reports,
      metersSpeech: parts.context.metersSpeech,
      onSpeaking: (isSpeaking, levelDb) =>
        this.#context.emit({ type: 'speaking', streamId: this.#streamId, isSpeaking, levelDb }),
    });
    this.#relay = new DtmfRelay((digit, durationMs) => this.#sender.sendDtmf({ digits: digit, durationMs }));
  }

  /** Takes the phone's offer and answers, or (no offer) makes ours. Calls `EndpointContext.setStreams`. */
  async describe(sdpOffer?: string): Promise<PhoneDescription> {
    if (sdpOffer === undefined) {
      const bound = this.#ports.bound ?? (await this.#ports.bind(ipVersionOf(this.#context.options.rtpHost)));
      return this.#described(this.#negotiation.offer(bound));
    }
    const { session, section, answer } = this.#negotiation.takeOffer(sdpOffer);
    const bound = await this.#ports.bind(this.#versionFor(section));
    this.#apply(session, bound);
    return this.#described(answer(bound));
  }

  /**
   * Goes on with the media of the phone whose process died; no description is made.
   * @throws MediaError NO_PORT, INVALID_STATE (closed meanwhile)
   */
  async resume(): Promise<PhoneDescription> {
    if (!this.#before) throw new MediaError('INVALID_STATE', 'There are no media to go on with.');
    const { isElsewhere, state } = this.#before;
    const { port, ipVersion, negotiation, found, received } = state;
    const { session } = negotiation;
    this.#before = undefined;
    const bound = await this.#ports.bind(ipVersion, isElsewhere ? undefined : port);
    if (session) {
      this.#crypto.resume(session.crypto);
      this.#apply(session, bound, received);
      bound.socket.restore(found);
      // Who spoke when the process before died may be silent now.
      this.#context.emit({ type: 'speaking', streamId: this.#streamId, isSpeaking: false });
    }
    return this.#described('');
  }

  /** Takes the phone's answer to our offer. */
  async answer(sdpAnswer: string): Promise<PhoneDescription> {
    const { session, section } = this.#negotiation.takeAnswer(sdpAnswer);
    this.#apply(session, await this.#ports.bind(this.#versionFor(section)));
    return this.#described('');
  }

  /** Learns where a SIP message of the phone came from. */
  signalled(source: PhoneSource, withinCall: boolean): void {
    if (source === 'trusted') this.#consent.trust();
    else this.#consent.signalled(source, withinCall);
    this.#source = source;
    const { session } = this.#negotiation;
    if (!session || !this.#ports.bound) return;
    this.#describePeer(session, this.#ports.bound.socket);
    this.#stateChanged();
  }

  get counters(): MediaCounters {
    return {
      strangers: this.#ports.strangers,
      framesWithheld: this.#watch.framesWithheld,
      reportsIgnored: this.#rtcp.ignored,
    };
  }

  setTracks(tracks: readonly PublishedTrack[], levelling: boolean): void {
    this.#sender.setTracks(tracks, levelling);
    this.#relay.setTracks(tracks);
  }

  /** @throws MediaError TOO_MANY_DIGITS */
  sendDtmf(dtmf: MediaDtmf): void {
    if (this.#sender.dtmfRoom < dtmf.digits.length)
      throw new MediaError('TOO_MANY_DIGITS', 'Too many digits wait to be sent to the phone.');
    this.#sender.sendDtmf(dtmf);
  }

  statistics(): DeviceStatistics {
    return this.#quality.statistics();
  }

  takeLevels() {
    return this.#quality.takeLevels(this.#streamId);
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

  onFrame(frame: number, now: number): void {
    this.#frame = frame;
    const mayReach = this.#parts.maySendToPhones(now);
    if (mayReach && this.#ports.bound?.socket.maySend(now) === true) {
      this.#watch.sent();
      this.#sender.onFrame(frame);
    } else {
      // A mix that must not be sent is not made.
      this.#sender.pause();
      this.#watch.withheld(this.#negotiation.session);
    }
    // Compared by size, since any frame may be skipped.
    if (frame < this.#nextPoll) return;
    this.#nextPoll = frame + POLL_FRAMES;
    this.#receiver.poll(now);
    this.#relay.poll(now);
    this.#quality.poll(now);
    if (frame < this.#nextSlowFrame) return;
    this.#nextSlowFrame = frame + SLOW_FRAMES;
    this.#onSecond(now);
  }

  #onSecond(now: number): void {
    this.#ports.bound?.socket.maintain(now);
    this.#rtcp.onTime(this.#rtcpSource(), this.#sender.timestampOf(this.#frame), now);
    if (this.#isStale || this.#sender.hasDrifted(now) || this.#crypto.hasReceivedMuch) this.#stateChanged();
    this.#watch.check(now, this.#negotiation.session);
  }

  #onRtp(sealed: Buffer, now: number): boolean {
    const packet = this.#crypto.openRtp(sealed);
    if (!packet || !this.#receiver.onPacket(packet, now)) return false;
    this.#watch.heard(now, this.#receiver.packets > 0, this.#receiver.isQuiet);
    return true;
  }

  #onRtcp(sealed: Buffer): boolean {
    const packet = this.#crypto.openRtcp(sealed);
    if (!packet) return false;
    const now = performance.now();
    this.#watch.reported(now);
    this.#rtcp.onPacket(packet, this.#rtcpSource(), now);
    return true;
  }

  /** A description without an address (hold, or a host name) keeps the address family in use. */
  #versionFor(section: RemoteSection | undefined): IpVersion {
    const { bound } = this.#ports;
    if (bound && section?.address === undefined) return bound.version;
    return section?.ipVersion ?? ipVersionOf(this.#context.options.rtpHost);
  }

  /** Applies a newly agreed session. @param received the codec that the phone is known to send */
  #apply(session: AudioSession, bound: BoundPorts, received?: AudioCodec): void {
    this.#negotiation.agree(session);
    this.#watch.restart(performance.now());
    this.#crypto.apply(session.crypto);
    this.#receiver.agree(
      session,
      this.#negotiation.isHeld && this.#context.options.passHeldAudio !== true,
      received,
    );
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
    this.#sender.setOwn(track);
    this.#quality.follow(track, format.codec);
    this.#isStale = true;
    this.#context.setStreams([{ streamId: this.#streamId, tracks: [track] }]);
    old?.end();
    return track;
  }

  #described(sdp: string): PhoneDescription {
    this.#stateChanged();
    const { session, isHeld } = this.#negotiation;
    const codecs = this.#track && [this.#track.codec.name];
    return {
      sdp,
      held: isHeld,
      ...(codecs ? { stream: { streamId: this.#streamId, kinds: ['audio'], codecs } } : {}),
      ...(session ? { audio: audioOf(session) } : {}),
    };
  }

  /** Tells what another process needs to go on with the phone. */
  #stateChanged(): void {
    const { bound } = this.#ports;
    if (!bound) return;
    this.#isStale = false;
    const now = performance.now();
    const stream = this.#sender.state(this.#parts.clock.present, now);
    const state = writePhoneState({
      streamId: this.#streamId,
      negotiation: this.#negotiation.state,
      port: bound.socket.port,
      ipVersion: bound.version,
      received: this.#receiver.codec,
      source: this.#source,
      found: bound.socket.found,
      consent: this.#consent.state(now),
      stream,
      crypto: this.#crypto.state(stream.sequence, now),
    });
    this.#context.emit({ type: 'state', state });
  }

  #rtcpSource(): RtcpSource {
    const { ssrc, packets, octets, newest, clockRate } = this.#sender;
    return { ssrc, packets, octets, newest, clockRate, reception: this.#receiver.reception };
  }
}

function cryptoBefore({ state, ageMs }: PhoneBefore): CryptoBefore {
  return { state: state.crypto, ageMs, skipped: skippedBy(state.stream, ageMs) };
}
