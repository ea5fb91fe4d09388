import type {
  Connection,
  Delivery,
  Device,
  DeviceGate,
  DeviceInfo,
  EndReason,
  OmittedTrack as CoreOmittedTrack,
  Participant,
  ResumePoint,
} from '../../core/index.js';
import type {
  MediaEvents,
  MediaPlane,
  MediaStreamInfo,
  OmittedTrack,
  SubscribeOffer,
} from '../../media/index.js';
import type { Clock, Log } from '../../shared/index.js';
import { type ClientSocket, closeFor, type SocketUser } from './client-socket.js';
import { ReconnectTimer, type ReconnectTimes } from './reconnect-timer.js';
import { isObject, RpcError } from './json-rpc.js';
import type { LostAnswers } from './lost-answers.js';
import type { BrowserLimits } from './limits.js';
import { readAnswerSdp } from './messages.js';
import { type PageCall, PageCalls } from './page-calls.js';
import { Publishing } from './publishing.js';
import { Resumption } from './resumption.js';
import { mediaType } from './stream-metadata.js';
import { Subscribing } from './subscribing.js';

/** The parts of the gateway that browser devices work with. */
export interface BrowserParts {
  readonly gate: DeviceGate;
  readonly media: MediaPlane;
  readonly clock: Clock;
  readonly limits: BrowserLimits;
  readonly reconnectTimes: ReconnectTimes;
  readonly log: Log;
  readonly lostAnswers: LostAnswers;
}

/** One connected browser: outlives its sockets, which come and go, and ends with its connection to the core. */
export class BrowserDevice implements Device, SocketUser {
  readonly info: DeviceInfo;
  /** Nothing but what every device can do. */
  readonly capabilities = {};
  readonly participantId: string;
  readonly #parts: BrowserParts;
  readonly #reconnectTimer: ReconnectTimer;
  readonly #subscribing: Subscribing;
  readonly #publishing: Publishing;
  readonly #calls: PageCalls;
  readonly #connection: Connection;
  readonly #ended: (device: BrowserDevice) => void;
  #socket: ClientSocket | undefined;
  /** Tracks that it cannot be sent, and that it tried to publish and may not. */
  #notSent: readonly CoreOmittedTrack[] = [];
  #refused: readonly CoreOmittedTrack[] = [];
  #isEnded = false;

  /**
   * Connects to the core, in place of any device that the participant has already, and opens the media.
   * @param ended called once, when the device is over
   * @throws PatchbayError of `DeviceGate.connect`
   */
  constructor(
    identity: { id: string; uniqueId: string; participant: Participant },
    parts: BrowserParts,
    ended: (device: BrowserDevice) => void,
  ) {
    const { id, uniqueId, participant } = identity;
    this.info = { id, kind: 'browser', externalId: uniqueId, direction: 'inbound' };
    this.participantId = participant.id;
    this.#parts = parts;
    this.#ended = ended;
    this.#reconnectTimer = new ReconnectTimer({
      clock: parts.clock,
      times: parts.reconnectTimes,
      silence: async () => (await parts.media.statistics(id)).silentMs,
      givenUp: () => this.#end('lost'),
    });
    const known = parts.gate.resumePoint(participant.id, uniqueId);
    const resumption = new Resumption(known, {
      save: (point) => this.#connection.saveResumePoint(point),
      flush: () => parts.gate.flush(),
    });
    this.#calls = new PageCalls({
      clock: parts.clock,
      log: parts.log,
      handle: (method, params) => this.#call(method, params),
      onId: (id) => resumption.called(id),
      before: known,
      lastAnswer: parts.lostAnswers.take(participant.id, uniqueId),
    });
    this.#subscribing = new Subscribing({
      deviceId: id,
      media: parts.media,
      log: parts.log,
      notify: (method, params) => {
        if (!this.#isEnded) this.#socket?.notify(method, params);
      },
      resumption,
    });
    this.#connection = parts.gate.connect(participant.id, this, { replace: true });
    this.#publishing = new Publishing({
      deviceId: id,
      media: parts.media,
      connection: this.#connection,
      clock: parts.clock,
      offers: parts.limits.offers,
      opened: this.#open(known),
      onRefused: (tracks) => {
        this.#refused = tracks;
        this.#omit();
      },
    });
  }

  /** The device speaks by this socket from now on. */
  attach(socket: ClientSocket): void {
    this.#calls.attach(socket);
    this.#take(socket);
  }

  /** A socket in place of the one that was lost: the page does not know that anything happened. */
  reattach(socket: ClientSocket): void {
    this.#calls.reattach(socket);
    this.#take(socket);
    this.#connection.signallingResumed();
    this.#subscribing.resume();
  }

  deliver(delivery: Delivery): void {
    this.#subscribing.deliver(delivery);
  }

  close(reason: EndReason): void {
    this.#finish(reason);
  }

  called(call: PageCall): void {
    void this.#calls.called(call);
  }

  notified(method: string, params: unknown): void {
    switch (method) {
      case 'leave':
        this.#end('left');
        return;
      case 'deviceDiagnostics': {
        // What pages write is theirs and may be anything: only its size goes into our log.
        const logs = isObject(params) ? params['logs'] : undefined;
        const entries = Array.isArray(logs) ? logs.length : 0;
        this.#parts.log.debug({ deviceId: this.info.id, entries }, 'browser diagnostics');
        return;
      }
      default:
        this.#parts.log.debug({ deviceId: this.info.id, method }, 'browser notification ignored');
    }
  }

  socketClosed(socket: ClientSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (this.#isEnded) return;
    // After 1000 the clients never reconnect.
    if (code === 1000) {
      this.#end('left');
      return;
    }
    this.#parts.log.debug({ deviceId: this.info.id, code }, 'browser socket lost');
    this.#connection.signallingLost();
    this.#reconnectTimer.start(socket.silentMs);
  }

  subscribeOffered(offer: SubscribeOffer): void {
    this.#subscribing.offer(offer);
  }

  streamsChanged(streams: readonly MediaStreamInfo[]): void {
    this.#publishing.streamsChanged(streams);
  }

  tracksOmitted(tracks: readonly OmittedTrack[]): void {
    this.#notSent = tracks.map(({ kind, ...track }) => ({ ...track, mediaType: mediaType(kind) }));
    this.#omit();
  }

  dtmf(digit: string, durationMs: number): void {
    this.#connection.dtmf(digit, durationMs);
  }

  mediaLost(cause: MediaEvents['mediaLost'][0]['cause']): void {
    if (cause === 'abuse') {
      this.#parts.log.warn({ deviceId: this.info.id }, 'a browser sent too much media or data');
      this.#socket?.shutOut({ code: 1008, reason: 'Too much media or data.' });
      this.#end('error');
      return;
    }
    // With its socket, the page is alive: its client restarts ICE when its network is back.
    if (!this.#socket) this.#end('lost');
  }

  /** The gateway is going down. */
  shutdown(): void {
    this.#end('shutdown');
  }

  #omit(): void {
    this.#connection.omit([...this.#notSent, ...this.#refused]);
  }

  #take(socket: ClientSocket): void {
    const before = this.#socket;
    this.#socket = socket;
    before?.terminate();
    this.#reconnectTimer.stop();
  }

  #call(method: string, params: unknown): Promise<object> {
    switch (method) {
      case 'setMediaPreferences':
        return this.#answerThen({}, () => this.#subscribing.ready());
      case 'offerSdp':
        // A page that lost us before it could say that it is ready says so by this.
        setImmediate(() => this.#subscribing.ready());
        return this.#publishing.offer(params);
      case 'answerSdp':
        return this.#takeAnswer(params);
      case 'ping':
      case 'deviceDiagnostics':
      case 'leave':
        this.notified(method, params);
        return Promise.resolve({});
      default:
        return Promise.reject(new RpcError('methodNotFound', 'There is no such method.'));
    }
  }

  async #open(known: ResumePoint | undefined): Promise<void> {
    const { media, clock, log } = this.#parts;
    const deviceId = this.info.id;
    const resumed = known && {
      revision: Math.max(known.revision, Math.floor(clock.now() / 1000)),
      subscribeLayout: known.layout,
    };
    try {
      await media.openBrowser({ deviceId, ...resumed });
    } catch (error) {
      // Closed while it opened.
      if (this.#isEnded) return;
      log.error({ err: error, deviceId }, 'media of a browser could not be opened');
      this.#end('error');
      return;
    }
    if (!this.#isEnded) this.#subscribing.opened();
  }

  async #takeAnswer(params: unknown): Promise<object> {
    const sdpAnswer = readAnswerSdp(params);
    // An answer in flight when a socket dies blocks the client for good, so it is acknowledged before acting.
    return this.#answerThen({}, () => this.#subscribing.answer(sdpAnswer));
  }

  #answerThen(result: object, act: () => void): Promise<object> {
    setImmediate(() => {
      if (!this.#isEnded) act();
    });
    return Promise.resolve(result);
  }

  #end(reason: EndReason): void {
    if (this.#isEnded) return;
    this.#connection.end(reason);
    this.#finish(reason);
  }

  #finish(reason: EndReason): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#reconnectTimer.stop();
    this.#calls.stop();
    this.#keepAnswer(reason);
    this.#socket?.close(closeFor(reason));
    this.#ended(this);
    this.#closeMedia();
  }

  /** A page that was lost may be back, and not know that it was. */
  #keepAnswer(reason: EndReason): void {
    const { lastAnswer } = this.#calls;
    if (reason !== 'lost' || lastAnswer === undefined) return;
    this.#parts.lostAnswers.keep(this.participantId, this.info.externalId, lastAnswer);
  }

  #closeMedia(): void {
    this.#parts.media.close(this.info.id).catch((error: unknown) => {
      this.#parts.log.error({ err: error, deviceId: this.info.id }, 'media of a browser could not be closed');
    });
  }
}
