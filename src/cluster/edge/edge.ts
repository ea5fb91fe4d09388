import {
  type AskedConnection,
  type ConnectOptions,
  type Device,
  type DeviceGate,
  type DeviceInfo,
  type DeviceKind,
  type DtmfDigits,
  type FailedCall,
  type Participant,
  PatchbayError,
  type ResumePoint,
} from '../../core/index.js';
import type { Clock, Log } from '../../shared/index.js';
import { errorOf, failureOf } from '../failures.js';
import type {
  Answer,
  FromEdge,
  FromLeader,
  HistoryEvent,
  Link,
  LinkListener,
  Questions,
} from '../messages.js';
import { EdgeConnection } from './edge-connection.js';
import { EdgeCrossings } from './edge-crossings.js';
import { History } from './history.js';

/** Questions that may wait for the leader's answer. */
const MAX_QUESTIONS = 10_000;

interface EdgeOptions {
  /** Names the edge, the same over restarts. */
  readonly edgeId: string;
  /** Names this process of it. */
  readonly process: string;
  /** Whether a token is valid now, as far as is known here. */
  readonly recognizes: (token: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

interface Waiting {
  readonly question: keyof Questions;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The core as the devices of this gateway see it: passes on to the leader what they do, and to them what it wants. It is
 * driven by state: each connection to a leader begins with all that the edge has, and the leader answers with all that it
 * wants. What is history and not state is kept until the leader has acknowledged it.
 */
export class Edge implements DeviceGate {
  /** Streams between this gateway's media hosts and others'. */
  readonly crossings = new EdgeCrossings((message) => this.#link?.send(message));
  readonly #options: EdgeOptions;
  readonly #connections = new Map<string, EdgeConnection>();
  /** Those that are over, while the leader has not acknowledged all of their history. */
  readonly #over = new Set<EdgeConnection>();
  readonly #history = new History();
  readonly #kinds = new Set<DeviceKind>();
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;
  #link: Link<FromEdge> | undefined;
  /** Of the newest leader that was seen; 0: none was. */
  #epoch = 0;

  constructor(options: EdgeOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.edgeId;
  }

  get isConnected(): boolean {
    return this.#link !== undefined;
  }

  /** Devices whose connection is not over. */
  get devices(): number {
    return this.#connections.size - this.#over.size;
  }

  /** Events that the leader has not acknowledged, and those that were dropped because too many were kept. */
  get history(): { readonly waiting: number; readonly dropped: number } {
    return { waiting: this.#history.size, dropped: this.#history.dropped };
  }

  /** Goes on with a leader: tells it all that the edge has. @returns what receives the leader's messages */
  connectTo(link: Link<FromEdge>): LinkListener<FromLeader> {
    this.#disconnected();
    this.#link = link;
    link.send({
      type: 'hello',
      edgeId: this.#options.edgeId,
      process: this.#options.process,
      kinds: [...this.#kinds],
      devices: Array.from(this.#connections.values(), (connection) => ({
        ...connection.state(),
        hasEnded: connection.phase === 'over',
      })),
      history: this.#history.entries(),
      located: this.crossings.stated,
    });
    return {
      received: (message) => {
        if (link === this.#link) this.#received(message);
      },
      closed: () => {
        if (link === this.#link) this.#disconnected();
      },
    };
  }

  registerKind(kind: DeviceKind): void {
    this.#kinds.add(kind);
    this.#link?.send({ type: 'kind', kind });
  }

  recognizes(token: string): boolean {
    return this.#options.recognizes(token);
  }

  authenticate(token: string, options?: { readonly ignoreExpiry?: boolean }): Promise<Participant> {
    return this.#ask('authenticate', { token, ignoreExpiry: options?.ignoreExpiry ?? false });
  }

  async admitDevice({ id, accountId }: Pick<Participant, 'id' | 'accountId'>): Promise<void> {
    await this.#ask('admitDevice', { participantId: id, accountId });
  }

  async participantOf(participantId: string): Promise<Participant | undefined> {
    return (await this.#ask('participantOf', { participantId })) ?? undefined;
  }

  async connectedDevice(participantId: string): Promise<DeviceInfo | undefined> {
    return (await this.#ask('connectedDevice', { participantId })) ?? undefined;
  }

  async resumePoint(participantId: string, externalId: string): Promise<ResumePoint | undefined> {
    return (await this.#ask('resumePoint', { participantId, externalId })) ?? undefined;
  }

  async flush(): Promise<void> {
    await this.#ask('flush', {});
  }

  connect(participant: Participant, device: Device, options: ConnectOptions): AskedConnection {
    const now = this.#options.clock.now();
    const connection = new EdgeConnection(
      { device, participant, options, now },
      {
        happened: (event) => this.#happened(event),
        changed: (deviceId, change) => this.#link?.send({ type: 'state', deviceId, change }),
        over: (ended) => this.#ended(ended),
      },
    );
    this.#connections.set(device.info.id, connection);
    connection.asks();
    return connection;
  }

  callFailed(participantId: string, call: FailedCall): void {
    this.#happened({ type: 'callFailed', participantId, call });
  }

  #happened(event: HistoryEvent): number {
    const entry = this.#history.add(event);
    this.#link?.send({ type: 'history', entry });
    return entry.number;
  }

  #ask<K extends keyof Questions>(
    question: K,
    asked: Questions[K]['asked'],
  ): Promise<Questions[K]['answer']> {
    const link = this.#link;
    if (!link) return Promise.reject(noLeader());
    if (this.#waiting.size >= MAX_QUESTIONS) {
      return Promise.reject(
        new PatchbayError('PATCHBAY_OVERLOADED', 'Too many questions wait for the leader.'),
      );
    }
    this.#questions += 1;
    const id = this.#questions;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { question, resolve: resolve as Waiting['resolve'], reject });
      link.send({ type: 'question', id, question, asked } as FromEdge);
    });
  }

  #received(message: FromLeader): void {
    switch (message.type) {
      case 'welcome':
        this.#welcomed(message.epoch, message.acknowledged);
        return;
      case 'acknowledged':
        this.#acknowledged(message.number);
        return;
      case 'answer':
        this.#answered(message);
        return;
      case 'failed':
        this.#taken(message.id)?.reject(errorOf(message.failure));
        return;
      case 'crossings':
        this.crossings.take(message);
        return;
      case 'admitted':
      case 'refused':
      case 'deliver':
      case 'watchLevels':
      case 'byeHeaders':
      case 'participant':
      case 'close':
      case 'command':
        this.#tell(message);
    }
  }

  /** What the leader says of one device. */
  #tell(message: Extract<FromLeader, { readonly deviceId: string }>): void {
    const connection = this.#connections.get(message.deviceId);
    if (!connection || connection.phase === 'over') {
      this.#toldTooLate(message);
      return;
    }
    const { device } = connection;
    switch (message.type) {
      case 'admitted':
        connection.wasAdmitted(message.order, message.participant);
        return;
      case 'refused':
        connection.wasRefused(errorOf(message.failure));
        return;
      case 'deliver':
        device.deliver(message.delivery, message.levelling);
        return;
      case 'watchLevels':
        device.watchLevels(message.isWatched);
        return;
      case 'byeHeaders':
        device.capabilities.setByeHeaders?.(message.headers);
        return;
      case 'participant':
        connection.participant = message.participant;
        return;
      case 'close':
        connection.wasClosed(message.reason);
        this.#link?.send({ type: 'closed', deviceId: message.deviceId, last: connection.lastNumber });
        return;
      case 'command':
        void this.#command(message.id, device, message.dtmf);
    }
  }

  /** The device has ended meanwhile. */
  #toldTooLate(message: Extract<FromLeader, { readonly deviceId: string }>): void {
    const { deviceId } = message;
    const last = this.#connections.get(deviceId)?.lastNumber ?? 0;
    if (message.type === 'close') this.#link?.send({ type: 'closed', deviceId, last });
    if (message.type !== 'command') return;
    const failure = failureOf(new PatchbayError('PATCHBAY_DEVICE_NOT_FOUND', 'The device is gone.'));
    this.#link?.send({ type: 'done', id: message.id, failure });
  }

  async #command(id: number, device: Device, dtmf: DtmfDigits): Promise<void> {
    const link = this.#link;
    try {
      await device.capabilities.sendDtmf?.(dtmf);
      link?.send({ type: 'done', id });
    } catch (error) {
      if (!(error instanceof PatchbayError)) this.#options.log.error({ err: error }, 'A command failed.');
      link?.send({ type: 'done', id, failure: failureOf(error) });
    }
  }

  #welcomed(epoch: number, acknowledged: number): void {
    if (epoch < this.#epoch) {
      // A leader that does not know yet that it is deposed.
      this.#link?.close();
      this.#disconnected();
      return;
    }
    this.#epoch = epoch;
    this.#acknowledged(acknowledged);
  }

  #acknowledged(number: number): void {
    this.#history.acknowledged(number);
    for (const connection of this.#over) this.#ended(connection);
  }

  /** Keeps the connection until the leader has acknowledged all of its history. */
  #ended(connection: EdgeConnection): void {
    if (connection.lastNumber > this.#history.acknowledgedTo) {
      this.#over.add(connection);
      return;
    }
    this.#over.delete(connection);
    this.#connections.delete(connection.device.info.id);
  }

  #answered({ id, question, answer }: { readonly id: number } & Answer): void {
    const waiting = this.#taken(id);
    if (waiting?.question === question) waiting.resolve(answer);
    else waiting?.reject(new PatchbayError('PATCHBAY_INTERNAL', 'The leader answered another question.'));
  }

  #taken(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #disconnected(): void {
    this.#link = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(noLeader());
  }
}

function noLeader(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_NO_LEADER',
    'The gateway has no connection to the leader at present: try again in a moment.',
  );
}
