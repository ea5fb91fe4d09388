import {
  type Delivery,
  type DeviceGate,
  type EndReason,
  type MediaFormats,
  type OmittedTrack,
  type Participant,
  PatchbayError,
  type ResumePoint,
} from '../../core/index.js';
import type {
  BrowserDoor,
  BrowserHandle,
  BrowserMediaEvent,
  MediaLossCause,
  MediaStreamInfo,
  OmittedMediaTrack,
} from '../../media/index.js';
import type { Clock, Log } from '../../shared/index.js';
import { MediaDevice } from '../media-device.js';
import { type CarriedPage, keepPageNote, Resumption } from './resumption.js';
import { type ClientSocket, closeFor, type SocketClose, type SocketUser } from './client-socket.js';
import { ReconnectTimer, type ReconnectTimes } from './reconnect-timer.js';
import { isObject, RpcError } from './json-rpc.js';
import { type LostAnswers, type PageCall, PageCalls } from './page-calls.js';
import type { BrowserLimits } from './limits.js';
import { readAnswerSdp } from './messages.js';
import { Publishing } from './publishing.js';
import { BrowserFormats } from './stream-metadata.js';
import { Subscribing } from './subscribing.js';

/** What all browser devices share. */
export interface BrowserParts {
  readonly gate: DeviceGate;
  readonly media: BrowserDoor;
  readonly clock: Clock;
  readonly limits: BrowserLimits;
  readonly reconnectTimes: ReconnectTimes;
  readonly log: Log;
  readonly lostAnswers: LostAnswers;
}

interface BrowserIdentity {
  readonly id: string;
  readonly uniqueId: string;
  readonly participant: Participant;
  /** What was saved of the page before a restart of the gateway. */
  readonly known: ResumePoint | undefined;
  readonly carried?: CarriedPage;
}

interface BrowserHooks {
  /** The core did not connect the device. @returns how its socket is closed */
  readonly refused: (error: PatchbayError) => SocketClose;
  /** Called once, when the device has ended. */
  readonly ended: (device: BrowserDevice) => void;
}

/** One connected browser. It outlives its sockets, and ends with its connection to the core. */
export class BrowserDevice extends MediaDevice<BrowserHandle> implements SocketUser {
  /** No capabilities beyond those of every device. */
  readonly capabilities = {};
  readonly participantId: string;
  readonly #parts: BrowserParts;
  readonly #reconnectTimer: ReconnectTimer;
  readonly #subscribing: Subscribing;
  readonly #publishing: Publishing;
  readonly #calls: PageCalls;
  readonly #hooks: BrowserHooks;
  #socket: ClientSocket | undefined;
  /** Tracks that the browser cannot be sent. */
  #notSent: readonly OmittedTrack[] = [];
  /** Tracks that the browser tried to publish, and that were refused. */
  #refused: readonly OmittedTrack[] = [];
  #makesOffers = true;
  /** Its media were opened by an earlier gateway, and its page has not come back yet. */
  #isCarried: boolean;
  readonly #connectedAt: number;
  readonly #listener = this.listener((event: BrowserMediaEvent) => this.#takeMediaEvent(event));
  readonly #formats = new BrowserFormats(() => this.connection?.formatsChanged());

  /**
   * Connects to the core, replacing the device that the participant may have, and opens the media or goes on with those
   * of an earlier gateway.
   */
  constructor(identity: BrowserIdentity, parts: BrowserParts, hooks: BrowserHooks) {
    const { id, uniqueId, participant, known, carried } = identity;
    super({
      info: { id, kind: 'browser', externalId: uniqueId, direction: 'inbound' },
      log: parts.log,
      receivable: ['audio', 'video'],
    });
    this.identifiedAs(participant);
    this.participantId = participant.id;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#isCarried = carried !== undefined;
    this.#connectedAt = carried?.note.connectedAt ?? parts.clock.now();
    if (carried) this.#formats.sends({ codecs: carried.note.sent });
    this.#reconnectTimer = new ReconnectTimer({
      clock: parts.clock,
      times: parts.reconnectTimes,
      givenUp: () => this.#givenUp(),
    });
    const resumption = new Resumption(known, {
      save: (point) => this.connection?.saveResumePoint(point),
      flush: () => parts.gate.flush(),
    });
    this.#calls = new PageCalls({
      clock: parts.clock,
      log: this.log,
      handle: (method, params) => this.#call(method, params),
      onId: (id) => resumption.called(id),
      before: known,
      lastAnswer: parts.lostAnswers.take(participant.id, uniqueId),
    });
    this.#subscribing = new Subscribing({
      deviceId: id,
      media: () => this.media,
      log: this.log,
      notify: (method, params) => {
        if (!this.ended) this.#socket?.notify(method, params);
      },
      resumption,
    });
    const connection = parts.gate.connect(participant, this, {
      replace: true,
      ...(carried && { carriedSince: this.#connectedAt }),
    });
    this.connectedBy(connection);
    this.openedAs(carried ? this.#adopt() : this.#open(known));
    this.#publishing = new Publishing({
      deviceId: id,
      media: this.media,
      connection,
      clock: parts.clock,
      offers: parts.limits.offers,
      onRefused: (tracks) => {
        this.#refused = tracks;
        this.#omit();
      },
      onOffered: () => this.#keepNote(),
      ...(carried && { before: { offered: carried.note.offered, streams: carried.device.streams } }),
      onStreams: (streams) => this.#formats.receives(streams),
    });
    if (carried) {
      // The page counts as alive until its media say otherwise.
      this.#reconnectTimer.heard();
      this.#reconnectTimer.start(0);
    } else this.#keepNote();
  }

  get formats(): MediaFormats {
    return this.#formats.present;
  }

  /** The device uses this socket from now on. */
  attach(socket: ClientSocket): void {
    this.#calls.attach(socket);
    this.#take(socket);
  }

  /** A new socket replaces the lost one. The client reconnects on its own, so the page does not notice. */
  reattach(socket: ClientSocket): void {
    if (this.#isCarried) this.#calls.attach(socket);
    else this.#calls.reattach(socket);
    this.#isCarried = false;
    this.#take(socket);
    this.connection?.signallingResumed();
    this.#subscribing.resume();
  }

  override deliver(delivery: Delivery, levelling?: boolean): void {
    this.#subscribing.deliver(delivery);
    super.deliver(delivery, levelling);
  }

  called(call: PageCall): void {
    void this.#calls.called(call);
  }

  notified(method: string, params: unknown): void {
    switch (method) {
      case 'leave':
        this.end('left');
        return;
      case 'deviceDiagnostics': {
        // A page may write anything here, personal data too: only the number of entries is logged.
        const logs = isObject(params) ? params['logs'] : undefined;
        const entries = Array.isArray(logs) ? logs.length : 0;
        this.log.debug({ entries }, 'browser diagnostics');
        return;
      }
      default:
        this.log.debug({ method }, 'browser notification ignored');
    }
  }

  socketClosed(socket: ClientSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    if (this.ended) return;
    // After 1000 the clients never reconnect.
    if (code === 1000) {
      this.end('left');
      return;
    }
    this.log.debug({ code }, 'browser socket lost');
    this.connection?.signallingLost();
    this.#reconnectTimer.start(socket.silentMs);
  }

  /** The gateway is about to stop: the page gets no offers for the devices that end before it. */
  stopOffers(): void {
    this.#makesOffers = false;
  }

  /** The gateway is stopping. */
  shutdown(): void {
    this.end('shutdown');
  }

  protected override refused(error: unknown): void {
    if (error instanceof PatchbayError) this.#socket?.close(this.#hooks.refused(error));
    else this.log.error({ err: error }, 'A browser could not be connected.');
    this.end('error');
  }

  protected override streamsChanged(streams: readonly MediaStreamInfo[]): void {
    this.#publishing.streamsChanged(streams);
  }

  protected override heard(): void {
    this.#reconnectTimer.heard();
  }

  protected override mediaLost(cause: MediaLossCause): void {
    if (cause === 'abuse') {
      this.log.warn({}, 'a browser sent too much media or data');
      this.#socket?.shutOut({ code: 1008, reason: 'Too much media or data.' });
      this.end('error');
      return;
    }
    // While the socket is open the page is alive, and its client restarts ICE when its network is back.
    if (!this.#socket) this.end('lost');
  }

  protected override onEnd(reason: EndReason): void {
    this.log.info({ reason }, 'browser disconnected');
    this.#reconnectTimer.stop();
    this.#calls.stop();
    this.#keepAnswer(reason);
    this.#socket?.close(closeFor(reason));
    this.#hooks.ended(this);
  }

  #takeMediaEvent(event: BrowserMediaEvent): void {
    if (event.type === 'subscribeOffer') {
      if (this.#formats.sends(event.offer)) this.#keepNote();
      if (this.#makesOffers) this.#subscribing.offer(event.offer);
    } else if (event.type === 'tracksOmitted') this.#tracksOmitted(event.tracks);
    else if (event.type === 'silent') this.#reconnectTimer.silent(event.silentMs);
    else this.takeEvent(event);
  }

  #tracksOmitted(tracks: readonly OmittedMediaTrack[]): void {
    this.#notSent = tracks.map(({ kind, ...track }) => ({ ...track, mediaType: kind }));
    this.#omit();
  }

  /** The page did not come back in time. An earlier gateway may have lost its socket without telling the core. */
  #givenUp(): void {
    this.connection?.signallingLost();
    this.end('lost');
  }

  /** Keeps what another gateway must know to go on with the page. */
  #keepNote(): void {
    const { participantId, info } = this;
    const [{ offered }, { sent }, connectedAt] = [this.#publishing, this.#formats, this.#connectedAt];
    const note = { participantId, uniqueId: info.externalId, connectedAt, offered, sent };
    keepPageNote(this.media, note).catch((error: unknown) => {
      if (!this.ended) this.log.error({ err: error }, 'The note of a page could not be kept.');
    });
  }

  #omit(): void {
    this.connection?.omit([...this.#notSent, ...this.#refused]);
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
        // The connection may have been lost before `setMediaPreferences` arrived: an offer shows as well that the page is
        // ready.
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

  #open(known: ResumePoint | undefined): BrowserHandle {
    const { media, clock } = this.#parts;
    const resumed = known && {
      revision: Math.max(known.revision, Math.floor(clock.now() / 1000)),
      subscribeLayout: known.layout,
    };
    const handle = media.open({ kind: 'browser', ...this.spec, ...resumed }, this.#listener);
    handle.opened.catch((error: unknown) => {
      // It was closed while it opened.
      if (this.ended) return;
      this.log.error({ err: error }, 'the media of a browser could not be opened');
      this.end('error');
    });
    return handle;
  }

  /** @throws Error when the device is not carried any more */
  #adopt(): BrowserHandle {
    const handle = this.#parts.media.adoptBrowser(this.info.id, this.#listener);
    if (handle) return handle;
    throw new Error('The media of the browser are gone.');
  }

  async #takeAnswer(params: unknown): Promise<object> {
    const sdpAnswer = readAnswerSdp(params);
    // If the socket closed before the acknowledgement, the client would be blocked for good: acknowledge first, then act.
    return this.#answerThen({}, () => this.#subscribing.answer(sdpAnswer));
  }

  #answerThen(result: object, act: () => void): Promise<object> {
    setImmediate(() => {
      if (!this.ended) act();
    });
    return Promise.resolve(result);
  }

  /** A lost page may come back without having noticed. */
  #keepAnswer(reason: EndReason): void {
    const { lastAnswer } = this.#calls;
    if (reason !== 'lost' || lastAnswer === undefined) return;
    this.#parts.lostAnswers.keep(this.participantId, this.info.externalId, lastAnswer);
  }
}
