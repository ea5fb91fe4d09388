import {
  type Delivery,
  type DeviceGate,
  type DtmfDigits,
  type EndReason,
  type MediaFormats,
  PatchbayError,
  type StreamSpeech,
} from '../../core/index.js';
import {
  type MediaDtmf,
  MediaError,
  type MediaStreamInfo,
  type ProgramDoor,
  type ProgramHandle,
  type ProgramMediaEvent,
} from '../../media/index.js';
import type { Clock, Log, Timer } from '../../shared/index.js';
import { MediaDevice } from '../media-device.js';
import { Channels } from './channels.js';
import { BadMessage, type Command, type News } from './dialects/index.js';
import type { ProgramLimits } from './limits.js';
import { OpenMarks } from './open-marks.js';
import { type ProgramIdentity, writeProgramNote } from './program-identity.js';
import type { ProgramSocket, ProgramTotals, SocketUser } from './program-socket.js';

/** What all program devices share. */
export interface ProgramParts {
  readonly gate: DeviceGate;
  readonly media: ProgramDoor;
  readonly clock: Clock;
  readonly limits: ProgramLimits;
  /** How long a program without a socket is kept. */
  readonly graceMs: number;
  readonly totals: ProgramTotals;
  readonly log: Log;
}

export interface ProgramHooks {
  /** The core did not connect the device. */
  readonly refused: (error: PatchbayError) => void;
  /** Called once, when the device has ended. */
  readonly ended: (device: ProgramDevice, reason: EndReason) => void;
}

/** One connected program. It outlives its sockets for a while, and ends with its connection to the core. */
export class ProgramDevice extends MediaDevice<ProgramHandle> implements SocketUser {
  readonly capabilities = {
    sendDtmf: (dtmf: DtmfDigits) => this.#passDigits(dtmf),
    hearSpeech: (streamId: string, speech: StreamSpeech) => this.#heardSpeech(streamId, speech),
  };
  readonly formats: MediaFormats;
  readonly identity: ProgramIdentity;
  readonly #parts: ProgramParts;
  readonly #hooks: ProgramHooks;
  readonly #channels = new Channels();
  readonly #connectedAt: number;
  #stream: MediaStreamInfo | undefined;
  #socket: ProgramSocket | undefined;
  /** The socket has got its first messages. */
  #hasBegun = false;
  #isAdmitted = false;
  /** It had a socket before. */
  #isResumed: boolean;
  readonly #openMarks: OpenMarks;
  #grace: Timer | undefined;
  readonly #listener = this.listener((event: ProgramMediaEvent) => this.#takeMediaEvent(event));

  /**
   * Connects to the core, and opens the media or goes on with those of an earlier gateway. A program that connects by
   * itself replaces the device that its participant may have.
   */
  constructor(id: string, identity: ProgramIdentity, parts: ProgramParts, hooks: ProgramHooks) {
    const { participant, uniqueId, direction, carried, dialect, encryption } = identity;
    super({
      info: { id, kind: 'program', externalId: uniqueId ?? id, direction },
      log: parts.log,
      receivable: ['audio'],
    });
    this.identifiedAs(participant);
    this.identity = identity;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#openMarks = new OpenMarks(parts.limits.marks);
    this.#isResumed = carried !== undefined;
    this.#connectedAt = carried?.note.connectedAt ?? parts.clock.now();
    const format = { codecs: [dialect.codec], encryption };
    this.formats = { received: format, sent: format };
    const connection = parts.gate.connect(participant, this, {
      replace: direction === 'inbound',
      ...(carried && { carriedSince: this.#connectedAt }),
    });
    this.connectedBy(connection);
    connection.admitted.then(
      () => {
        this.#isAdmitted = true;
        this.#begin();
      },
      () => undefined,
    );
    if (carried) {
      this.openedAs(this.#adopt());
      this.streamsChanged(carried.device.streams);
      this.#waitForSocket();
    } else {
      this.openedAs(this.#open());
      this.#keepNote();
    }
  }

  get participantId(): string {
    return this.identity.participant.id;
  }

  /** It has no socket now, and may come back. */
  get isAway(): boolean {
    return this.#socket === undefined;
  }

  /** The device uses this socket from now on; one that it has is cut. */
  attach(socket: ProgramSocket): void {
    const before = this.#socket;
    this.#socket = socket;
    this.#hasBegun = false;
    before?.terminate();
    this.#grace?.cancel();
    this.#grace = undefined;
    if (this.#isResumed) {
      this.connection?.signallingResumed();
      this.log.info({}, 'A program is back.');
    }
    this.#begin();
  }

  commanded(command: Command): void {
    if (this.ended) return;
    switch (command.type) {
      case 'play':
        this.media.play(command.pcm);
        return;
      case 'mark':
        this.#openMarks.add(command.mark);
        this.media.mark(command.mark);
        return;
      case 'clear':
        this.media.clear();
        return;
      case 'dtmf':
        this.#sendDigits(command.dtmf).catch((error: unknown) => this.#dtmfFailed(error));
        return;
      case 'leave':
        this.end('left');
    }
  }

  socketClosed(socket: ProgramSocket, code: number): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    this.#hasBegun = false;
    if (this.ended) return;
    // Closed on purpose: with 1000, or with a close frame that has no code (1005, RFC 6455 section 7.1.5).
    if (code === 1000 || code === 1005) {
      this.end('left');
      return;
    }
    this.log.info({ code }, 'A program lost its socket.');
    this.connection?.signallingLost();
    this.#waitForSocket();
  }

  /** Somebody begins or ceases to speak in a stream that the program receives. */
  #heardSpeech(streamId: string, { isSpeaking, levelDb }: StreamSpeech): void {
    const channel = this.#channels.of(streamId);
    if (!channel) return;
    this.#tell({ type: 'speech', channel, isSpeaking, ...(levelDb !== undefined && { levelDb }) });
  }

  /** The program or its application does not want it any more, or the gateway stops. */
  leave(reason: EndReason): void {
    this.end(reason);
  }

  override deliver(delivery: Delivery, levelling?: boolean): void {
    const { opened, closed } = this.#channels.update(delivery);
    for (const channel of closed) this.#tell({ type: 'channel', isOpen: false, channel });
    for (const channel of opened) this.#tell({ type: 'channel', isOpen: true, channel });
    super.deliver(delivery, levelling);
  }

  protected override streamsChanged(streams: readonly MediaStreamInfo[]): void {
    const { alias } = this.identity;
    this.#stream = streams[0];
    this.connection?.publish(
      streams.map(({ streamId }) => ({
        streamId,
        mediaTypes: ['audio'],
        ...(alias !== undefined && { alias }),
      })),
    );
    this.#begin();
  }

  protected override mediaLost(): void {
    // A program has no transport of its own in the media plane.
  }

  protected override heard(): void {
    // What it sends comes by its socket.
  }

  protected override refused(error: unknown): void {
    if (error instanceof PatchbayError) {
      this.log.info({ code: error.code }, 'A program was refused.');
      const isSoonOver = ['PATCHBAY_SHUTTING_DOWN', 'PATCHBAY_NO_LEADER'].includes(error.code);
      const code = isSoonOver ? 1012 : 1013;
      this.#socket?.close({ code, reason: error.message.slice(0, 120) });
      this.#hooks.refused(error);
    } else this.log.error({ err: error }, 'A program could not be connected.');
    this.end('error');
  }

  protected override onEnd(reason: EndReason): void {
    this.log.info({ reason }, 'A program disconnected.');
    this.#grace?.cancel();
    this.#socket?.end(reason);
    this.#hooks.ended(this, reason);
  }

  /** Tells the program what the socket begins with, once core, socket and media are there. */
  #begin(): void {
    if (!this.#isAdmitted || !this.#socket || !this.#stream || this.#hasBegun || this.ended) return;
    const { participant, rate, channels } = this.identity;
    this.#hasBegun = true;
    this.#socket.start({
      participant: this.participant ?? participant,
      connectionId: this.info.id,
      streamId: this.#stream.streamId,
      rate,
      channels,
      isResumed: this.#isResumed,
    });
    this.#isResumed = true;
    for (const channel of this.#channels.present) this.#tell({ type: 'channel', isOpen: true, channel });
  }

  /** @returns whether the program could be told */
  #tell(news: News): boolean {
    return this.#hasBegun && this.#socket?.tell(news) === true;
  }

  #takeMediaEvent(event: ProgramMediaEvent): void {
    switch (event.type) {
      case 'audio':
        this.#passAudio(event.pcm, event.streamId);
        return;
      case 'digit': {
        const channel = this.#channels.of(event.streamId);
        if (channel) this.#tell({ ...event, channel });
        return;
      }
      case 'played':
        this.#openMarks.answered(event.mark);
        this.#tell(event);
        return;
      case 'overflow':
        this.#parts.totals.overflowMs += event.droppedMs;
        this.#tell({ ...event, direction: 'from-program' });
        return;
      case 'interrupted':
        this.#interrupted();
        return;
      case 'streams':
      case 'dtmf':
      case 'mediaLost':
      case 'heard':
      case 'speaking':
      case 'levels':
      case 'statistics':
        this.takeEvent(event);
    }
  }

  #passAudio(pcm: Buffer, streamId: string | undefined): void {
    if (!this.#hasBegun) return;
    const channel = streamId === undefined ? undefined : this.#channels.of(streamId);
    // The stream may have left the delivery a moment ago.
    if (streamId === undefined || channel) this.#socket?.audio(pcm, channel);
  }

  /** The media host died. Where a dialect has no word for that, marks are answered as if their audio was cleared. */
  #interrupted(): void {
    const marks = this.#openMarks.takeAll();
    if (this.#tell({ type: 'interrupted' })) return;
    for (const mark of marks) this.#tell({ type: 'played', mark });
  }

  /** Digits that the program sends. The application is told of them, as of those of phones. */
  async #sendDigits(dtmf: MediaDtmf): Promise<void> {
    await this.media.sendDtmf(dtmf);
    for (const digit of dtmf.digits) this.digitHeard(digit, dtmf.durationMs ?? 100);
  }

  /** Digits that the application sends by REST. */
  #passDigits({ digits, durationMs = 100 }: DtmfDigits): Promise<void> {
    if (!this.#hasBegun) {
      const away = new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The program has lost its connection.');
      return Promise.reject(away);
    }
    for (const digit of digits) this.#tell({ type: 'digit', digit, durationMs });
    return Promise.resolve();
  }

  #dtmfFailed(error: unknown): void {
    if (this.ended) return;
    if (error instanceof MediaError && error.code === 'TOO_MANY_DIGITS')
      this.#socket?.complain(
        new BadMessage('too-many-digits', 'Too many digits wait; none of these were sent.'),
      );
    else this.log.error({ err: error }, 'Digits of a program could not be sent.');
  }

  #waitForSocket(): void {
    this.#grace = this.#parts.clock.setTimeout(() => {
      // An earlier gateway may have lost its socket without telling the core.
      this.connection?.signallingLost();
      this.end('lost');
    }, this.#parts.graceMs);
  }

  #open(): ProgramHandle {
    const { media, limits } = this.#parts;
    const { rate, channels } = this.identity;
    const audio = { rate, channels, queueMs: limits.queueMs };
    const handle = media.open({ kind: 'program', ...this.spec, ...audio }, this.#listener);
    handle.opened.then(
      (stream) => {
        if (!this.ended) this.streamsChanged([stream]);
      },
      (error: unknown) => {
        // It was closed while it opened.
        if (this.ended) return;
        this.log.error({ err: error }, 'The media of a program could not be opened.');
        this.end('error');
      },
    );
    return handle;
  }

  /** @throws Error when the device is not carried any more */
  #adopt(): ProgramHandle {
    const handle = this.#parts.media.adoptProgram(this.info.id, this.#listener);
    if (handle) return handle;
    throw new Error('The media of the program are gone.');
  }

  /** Keeps what another gateway must know to go on with the program. */
  #keepNote(): void {
    const { identity } = this;
    this.media.keep(writeProgramNote(identity, this.#connectedAt)).catch((error: unknown) => {
      if (!this.ended) this.log.error({ err: error }, 'The note of a program could not be kept.');
    });
  }
}
