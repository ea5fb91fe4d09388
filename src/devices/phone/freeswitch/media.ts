import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import {
  type DeviceStatistics,
  MAX_SDP,
  MediaError,
  type MediaEvents,
  type OpenPhoneOptions,
  type PhoneDescription,
  type PhoneSource,
} from '../../../media/index.js';
import type { PhoneMedia } from '../index.js';
import { BridgedCall } from './call.js';
import { asPatchbayError, isServersFault, noServer } from './failure.js';
import type { FreeswitchServer } from './server.js';

/** As the media plane has it, before FreeSWITCH and what is read for it get a description. */
function requireBounded(sdp: string | undefined): void {
  if (sdp !== undefined && sdp.length > MAX_SDP)
    throw new MediaError('BAD_SDP', 'The session description is too long.');
}

interface FreeswitchMediaOptions {
  readonly plane: PhoneMedia;
  /** Whether there is a SIP server to place calls with; waits for one that may come back. */
  readonly sipReachable: () => Promise<boolean>;
  readonly rtpHost?: string;
  /** Without a healthy FreeSWITCH, phones go straight to the media plane. */
  readonly fallbackToDirect: boolean;
  readonly log: Logger;
}

/**
 * Media of phones by way of FreeSWITCH. To those who drive it, it is the phones' part of the media plane; a phone
 * that is served without FreeSWITCH is simply passed through.
 */
export class FreeswitchMedia extends EventEmitter<MediaEvents> implements PhoneMedia {
  readonly #options: FreeswitchMediaOptions;
  readonly #pool: FreeswitchPool;
  readonly #calls = new Map<string, BridgedCall>();
  /** On their way to another FreeSWITCH. */
  readonly #rescued = new Set<BridgedCall>();

  constructor(pool: FreeswitchPool, options: FreeswitchMediaOptions) {
    super();
    this.#pool = pool;
    this.#options = options;
    options.plane.on('dtmf', this.#onDtmf);
    options.plane.on('streams', this.#onStreams);
    options.plane.on('mediaLost', this.#onMediaLost);
    options.plane.on('renegotiate', this.#onRenegotiate);
  }

  /** How many calls are on that server now. */
  callsOn(server: FreeswitchServer): number {
    return [...this.#calls.values()].filter((call) => call.server === server).length;
  }

  /** @throws PatchbayError OVERLOADED, NO_COMMON_CODEC; what the plane throws */
  async openPhone(options: OpenPhoneOptions): Promise<PhoneDescription> {
    const { deviceId, sdpOffer } = options;
    requireBounded(sdpOffer);
    let lastError: unknown;
    for (const server of this.#pool.candidates()) {
      try {
        return await this.#open(server, options);
      } catch (error) {
        if (!isServersFault(error)) throw asPatchbayError(error);
        server.refused(error);
        lastError = error;
      }
    }
    if (!this.#options.fallbackToDirect) throw noServer(lastError);
    this.#options.log.warn({ deviceId }, 'No FreeSWITCH takes the phone: it is served directly.');
    return this.#options.plane.openPhone(options);
  }

  async answerPhone(deviceId: string, sdpAnswer: string): Promise<PhoneDescription> {
    requireBounded(sdpAnswer);
    const call = this.#calls.get(deviceId);
    if (!call) return this.#options.plane.answerPhone(deviceId, sdpAnswer);
    return this.#translated(call.answer(sdpAnswer));
  }

  async updatePhone(deviceId: string, sdpOffer?: string): Promise<PhoneDescription> {
    requireBounded(sdpOffer);
    const call = this.#calls.get(deviceId);
    if (!call) return this.#options.plane.updatePhone(deviceId, sdpOffer);
    return this.#translated(call.update(sdpOffer));
  }

  /** Between FreeSWITCH and the phone, FreeSWITCH decides what to believe and where to send. */
  async confirmPhone(deviceId: string, source: PhoneSource): Promise<void> {
    const call = this.#calls.get(deviceId);
    if (call) call.source = source;
    else await this.#options.plane.confirmPhone(deviceId, source);
  }

  statistics(deviceId: string): Promise<DeviceStatistics> {
    return this.#options.plane.statistics(deviceId);
  }

  /** FreeSWITCH passes on what the plane sends it: as events, or as tones to a phone without them. */
  sendDtmf(...args: Parameters<PhoneMedia['sendDtmf']>): Promise<void> {
    return this.#options.plane.sendDtmf(...args);
  }

  setDelivery(...args: Parameters<PhoneMedia['setDelivery']>): Promise<void> {
    return this.#options.plane.setDelivery(...args);
  }

  async close(deviceId: string): Promise<void> {
    const call = this.#calls.get(deviceId);
    this.#calls.delete(deviceId);
    await (call ? call.close() : this.#options.plane.close(deviceId));
  }

  /** All calls of a FreeSWITCH that is gone: on to another, or ended. */
  lost(server: FreeswitchServer): void {
    for (const call of this.#calls.values()) {
      if (call.server === server) void this.#rescue(call);
    }
  }

  stop(): void {
    const { plane } = this.#options;
    plane.off('dtmf', this.#onDtmf);
    plane.off('streams', this.#onStreams);
    plane.off('mediaLost', this.#onMediaLost);
    plane.off('renegotiate', this.#onRenegotiate);
  }

  async #open(
    server: FreeswitchServer,
    { deviceId, sdpOffer, source }: OpenPhoneOptions,
  ): Promise<PhoneDescription> {
    const { plane, rtpHost, log } = this.#options;
    const call = await BridgedCall.open(server, sdpOffer, {
      deviceId,
      plane,
      ...(rtpHost !== undefined && { rtpHost }),
      log: log.child({ deviceId }),
    });
    call.source = source;
    this.#calls.set(deviceId, call);
    call.on('ended', (cause) => this.emit('mediaLost', { deviceId, cause }));
    call.on('orphaned', () => void this.#rescue(call));
    return call.describe();
  }

  async #rescue(call: BridgedCall): Promise<void> {
    // Both its legs and its server tell.
    if (this.#rescued.has(call)) return;
    this.#rescued.add(call);
    const { deviceId } = call;
    const log = this.#options.log.child({ deviceId });
    try {
      if (!(await this.#move(call))) return;
      log.info({ freeswitch: call.server.address }, 'The phone moves on, its FreeSWITCH is lost.');
      this.emit('renegotiate', { deviceId });
    } catch (error) {
      log.warn({ err: error }, 'The phone is lost with its FreeSWITCH.');
      this.emit('mediaLost', { deviceId, cause: 'transport' });
    } finally {
      this.#rescued.delete(call);
    }
  }

  /** @returns false when the call ended meanwhile */
  async #move(call: BridgedCall): Promise<boolean> {
    if (!call.movable) throw new Error('The phone’s media cannot be moved.');
    // The phone is to be told of its new media, and FreeSWITCH's legs are calls, too.
    if (!(await this.#options.sipReachable())) throw new Error('No SIP server can be reached.');
    let lastError: unknown;
    for (const server of this.#refuges(call.server)) {
      if (call.isClosed()) return false;
      try {
        await call.moveTo(server);
        return true;
      } catch (error) {
        if (call.isClosed()) return false;
        if (!isServersFault(error)) throw error;
        server.refused(error);
        lastError = error;
      }
    }
    if (call.isClosed()) return false;
    if (!this.#options.fallbackToDirect) throw noServer(lastError);
    call.release();
    this.#calls.delete(call.deviceId);
    // From here on it is a phone again, no FreeSWITCH.
    if (call.source) await this.#options.plane.confirmPhone(call.deviceId, call.source);
    await this.#options.plane.updatePhone(call.deviceId, call.phoneSdp);
    return true;
  }

  /** Where a call can go that lost its legs: to another FreeSWITCH, or to its own if that goes on. */
  #refuges(lost: FreeswitchServer): FreeswitchServer[] {
    const own = lost.status().available ? [lost] : [];
    return [...this.#pool.candidates(lost), ...own];
  }

  async #translated(change: Promise<PhoneDescription>): Promise<PhoneDescription> {
    try {
      return await change;
    } catch (error) {
      throw asPatchbayError(error);
    }
  }

  readonly #onDtmf = (event: MediaEvents['dtmf'][0]): void => {
    this.emit('dtmf', event);
  };

  readonly #onStreams = (event: MediaEvents['streams'][0]): void => {
    this.emit('streams', event);
  };

  readonly #onMediaLost = (event: MediaEvents['mediaLost'][0]): void => {
    this.emit('mediaLost', event);
  };

  readonly #onRenegotiate = (event: MediaEvents['renegotiate'][0]): void => {
    this.emit('renegotiate', event);
  };
}

/** Several FreeSWITCHes, of which any can take any call. */
export class FreeswitchPool {
  readonly #servers: readonly FreeswitchServer[];

  constructor(servers: readonly FreeswitchServer[]) {
    this.#servers = servers;
  }

  /** Resolves when each was tried once. */
  async start(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.start()));
  }

  stop(): void {
    for (const server of this.#servers) server.stop();
  }

  /** Those that can take a call, in the order that new calls should try them: least loaded first. */
  candidates(except?: FreeswitchServer): FreeswitchServer[] {
    return this.#servers
      .filter((server) => server !== except)
      .map((server) => ({ server, ...server.status() }))
      .filter(({ available }) => available)
      .sort((a, b) => a.load - b.load)
      .map(({ server }) => server);
  }
}
