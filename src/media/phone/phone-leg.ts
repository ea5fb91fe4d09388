import { randomInt, randomUUID } from 'node:crypto';
import { toTrackCodec } from '../codecs/index.js';
import type { DeviceContext, PhoneDevice } from '../device.js';
import type { DecoderPool, FrameListener, MixClock } from '../mixer/index.js';
import { PublishedTrack } from '../track.js';
import type { DeviceStatistics, PhoneDescription } from '../types.js';
import type { PortPair } from './ports.js';
import { RtcpSession } from './rtcp-session.js';
import { RtpReceiver } from './rtp-receiver.js';
import { RtpSender } from './rtp-sender.js';
import { RtpSocket } from './rtp-socket.js';
import { agreeOn, chooseAudio, expectsMedia } from './sdp/audio-session.js';
import type { AudioSession } from './sdp/audio-session.js';
import { writeAnswer, writeOffer } from './sdp/local-description.js';
import type { LocalEnd } from './sdp/local-description.js';
import { readRemoteDescription } from './sdp/remote-description.js';

/** Frames between looks at things that need no hurry: one second. */
const SLOW_FRAMES = 50;

export interface PhoneLegParts {
  readonly context: DeviceContext;
  readonly ports: PortPair;
  readonly clock: MixClock;
  readonly pool: DecoderPool;
  /** Gives the ports back. */
  readonly onClosed: () => void;
}

/** A phone in the media plane: its RTP becomes one published stream, its delivery becomes one mix. */
export class PhoneLeg implements PhoneDevice, FrameListener {
  readonly #context: DeviceContext;
  readonly #clock: MixClock;
  readonly #socket: RtpSocket;
  readonly #receiver: RtpReceiver;
  readonly #sender: RtpSender;
  readonly #rtcp: RtcpSession;
  readonly #onClosed: () => void;
  readonly #streamId = randomUUID();
  readonly #sessionId = randomInt(2 ** 47).toString();
  #version = 0;
  #session: AudioSession | undefined;
  #track: PublishedTrack | undefined;
  #lastMediaAt = 0;
  #mediaLost = false;
  #frame = 0;
  #closed = false;

  constructor(parts: PhoneLegParts) {
    this.#context = parts.context;
    this.#clock = parts.clock;
    this.#onClosed = parts.onClosed;
    this.#socket = new RtpSocket(parts.ports, {
      onRtp: (packet) => this.#onRtp(packet),
      onRtcp: (packet) => this.#rtcp.onPacket(packet, this.#receiver.reception, performance.now()),
    });
    this.#receiver = new RtpReceiver((digit, durationMs) => {
      this.#context.emit('dtmf', { deviceId: this.#context.deviceId, digit, durationMs });
    });
    this.#sender = new RtpSender(parts.pool, (packet) => this.#socket.send(packet));
    this.#rtcp = new RtcpSession(`${this.#streamId}@patchbay`, (packet) => this.#socket.sendRtcp(packet));
  }

  describe(sdpOffer?: string): Promise<PhoneDescription> {
    return promised(() => {
      if (sdpOffer === undefined) return this.#described(writeOffer(this.#end(), this.#session));
      const offer = readRemoteDescription(sdpOffer);
      const choice = chooseAudio(offer);
      const session = agreeOn(choice.section);
      this.#apply(session);
      return this.#described(writeAnswer(this.#end(), offer, choice, session));
    });
  }

  answer(sdpAnswer: string): Promise<PhoneDescription> {
    return promised(() => {
      this.#apply(agreeOn(chooseAudio(readRemoteDescription(sdpAnswer)).section));
      return this.#described('');
    });
  }

  setTracks(tracks: readonly PublishedTrack[]): void {
    this.#sender.setTracks(tracks);
  }

  sendDtmf(digits: string, durationMs?: number): void {
    this.#sender.sendDtmf(digits, durationMs);
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
    this.#clock.remove(this);
    this.#rtcp.bye(this.#rtcpSource(), this.#sender.timestampOf(this.#frame), performance.now());
    this.#sender.close();
    this.#track?.end();
    await this.#socket.close();
    this.#onClosed();
  }

  onFrame(frame: number): void {
    this.#frame = frame;
    this.#sender.onFrame(frame);
    const now = performance.now();
    this.#receiver.poll(now);
    if (frame % SLOW_FRAMES === 0) this.#onSecond(now);
  }

  #onSecond(now: number): void {
    this.#rtcp.onTime(this.#rtcpSource(), this.#sender.timestampOf(this.#frame), now);
    if (!this.#session || !expectsMedia(this.#session)) {
      this.#lastMediaAt = now;
      return;
    }
    if (this.#mediaLost || now - this.#lastMediaAt < this.#context.options.mediaTimeoutMs) return;
    this.#mediaLost = true;
    this.#context.emit('mediaLost', { deviceId: this.#context.deviceId, cause: 'timeout' });
  }

  #onRtp(packet: Buffer): boolean {
    const now = performance.now();
    if (!this.#receiver.onPacket(packet, now)) return false;
    this.#lastMediaAt = now;
    this.#mediaLost = false;
    return true;
  }

  /** Puts a newly agreed session into force. */
  #apply(session: AudioSession): void {
    this.#session = session;
    this.#lastMediaAt = performance.now();
    this.#publish(session);
    this.#socket.setPeer(session.peer, session.rtcpPeer, session.rtcpMux);
    this.#sender.configure(session);
    this.#clock.add(this);
  }

  /** Subscribers are only disturbed when the codec changed: then the old track ends and another takes its place. */
  #publish(session: AudioSession): void {
    const codec = toTrackCodec(session.codec, session.fmtp);
    const old = this.#track;
    if (old?.codec.name !== codec.name || old.codec.fmtp !== codec.fmtp) {
      this.#track = new PublishedTrack({ kind: 'audio', streamId: this.#streamId, codec });
      this.#context.setStreams([{ streamId: this.#streamId, tracks: [this.#track] }]);
      old?.end();
    }
    if (this.#track) this.#receiver.configure(session, this.#track);
  }

  #described(sdp: string): PhoneDescription {
    return {
      sdp,
      held: this.#session?.held ?? false,
      ...(this.#track ? { stream: { streamId: this.#streamId, kinds: ['audio'] } } : {}),
    };
  }

  #end(): LocalEnd {
    this.#version += 1;
    const { publicIp, rtpHost } = this.#context.options;
    return {
      address: publicIp ?? rtpHost,
      port: this.#socket.port,
      sessionId: this.#sessionId,
      version: this.#version,
    };
  }

  #rtcpSource(): {
    ssrc: number;
    packets: number;
    octets: number;
    reception: RtpReceiver['reception'];
  } {
    const { ssrc, packets, octets } = this.#sender;
    return { ssrc, packets, octets, reception: this.#receiver.reception };
  }
}

/** Runs synchronous work so that what it throws becomes a rejection. */
function promised<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => resolve(work()));
}
