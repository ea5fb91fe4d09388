import {
  type CallTrace,
  type Core,
  type DeviceQuality,
  type MediaFormats,
  pageLimit,
  PatchbayError,
} from '../core/index.js';
import type { ConnectionFilter, ListedFailure, Usage, UsageConnection } from '../usage/index.js';
import { explainEnd, explainRefusal, type Explanation } from './explanations.js';
import { QualityHistory, type QualitySeries } from './quality-series.js';

/** A call: the connection of a device, or one that was refused. */
export interface Call extends MediaFormats, Partial<Explanation> {
  /** The gateway's id of the connection, or of the refused call. */
  readonly connectionId: string;
  /** The device's own id: a phone's Call-ID, a page's `uniqueId`. */
  readonly deviceId: string;
  readonly kind: string;
  readonly direction: string;
  readonly state: 'live' | 'ended' | 'failed';
  readonly caller?: string | undefined;
  readonly callerName?: string | undefined;
  readonly called?: string | undefined;
  readonly participantId: string;
  readonly participantTag?: string | undefined;
  /** The last one that it was in. */
  readonly sessionId?: string | undefined;
  readonly sessionTag?: string | undefined;
  /** It is a test call of the gateway's own. */
  readonly test?: true | undefined;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly endedAt?: number | undefined;
  readonly seconds: number;
  readonly endReason?: string | undefined;
  /** Of the refusal: SIP's status, and why, in the words that the phone got. */
  readonly status?: number;
  readonly reason?: string;
  /** Names of the audio codecs that a refused phone offered. */
  readonly offeredCodecs?: readonly string[];
  readonly quality?: DeviceQuality | undefined;
  /** Only those that it was in; empty for refused calls. */
  readonly sessions: UsageConnection['sessions'];
}

/** Which calls of an account to list. */
export interface CallFilter extends Omit<ConnectionFilter, 'state' | 'id'> {
  readonly state?: Call['state'];
  /** The gateway's id of the connection, or the device's own. */
  readonly deviceId?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** The `next` of the previous page. */
  readonly cursor?: string;
}

export interface CallPage {
  /** The newest first. */
  readonly items: readonly Call[];
  readonly next?: string;
}

/** The SIP messages of calls, whichever gateways had them. */
interface Traces {
  /** @returns undefined when nothing is kept */
  of(accountId: string, deviceId: string): Promise<CallTrace | undefined>;
  /**
   * @returns whether there was something
   * @throws PatchbayError NO_LEADER by rejection when a gateway that may have something cannot be reached
   */
  delete(accountId: string, deviceId: string): Promise<boolean>;
}

interface CallsOptions {
  readonly core: Pick<Core, 'on'>;
  readonly usage: Pick<Usage, 'connections' | 'failedCalls'>;
  readonly traces: Traces;
}

const CURSOR = /^(\d{1,15})_([\w-]{1,64})$/;

/** The calls of accounts: those that are up, those that are over, and those that were refused. */
export class Calls {
  readonly #usage: CallsOptions['usage'];
  readonly #traces: Traces;
  readonly #quality: QualityHistory;

  constructor({ core, usage, traces }: CallsOptions) {
    this.#usage = usage;
    this.#traces = traces;
    this.#quality = new QualityHistory(core);
  }

  /** For metrics. */
  get qualityCounts(): ReturnType<QualityHistory['counts']> {
    return this.#quality.counts();
  }

  /** @throws PatchbayError BAD_REQUEST for a limit or cursor that is not valid, TOO_MANY_REQUESTS, OVERLOADED */
  async list(accountId: string, filter: CallFilter): Promise<CallPage> {
    const { state, cursor, deviceId: id, limit: wanted, ...common } = filter;
    const limit = pageLimit(wanted);
    const before = placeOf(cursor);
    const failed = state === undefined || state === 'failed' ? this.#failed(accountId, filter) : [];
    const later = failed.filter((call) => !before || isAfter(before, call)).slice(0, limit + 1);
    const query = {
      ...common,
      ...(id !== undefined && { id }),
      ...(before && { before }),
      limit: limit + 1,
    };
    const connected =
      state === 'failed'
        ? []
        : await this.#usage.connections(accountId, { ...query, ...(state !== undefined && { state }) });
    const merged = [...connected.map((one) => this.#connected(accountId, one)), ...later].toSorted((a, b) =>
      isAfter(placed(a), b) ? -1 : 1,
    );
    const items = merged.slice(0, limit);
    const last = items.at(-1);
    return {
      items,
      ...(merged.length > limit && last && { next: `${last.startedAt}_${last.connectionId}` }),
    };
  }

  /**
   * One call, by the gateway's id or the newest with the device's own.
   * @throws PatchbayError CALL_NOT_FOUND
   */
  async call(accountId: string, id: string): Promise<Call> {
    const { items } = await this.list(accountId, { deviceId: id });
    const found = items.find(({ connectionId }) => connectionId === id) ?? items[0];
    if (!found) throw new PatchbayError('PATCHBAY_CALL_NOT_FOUND', 'There is no such call.');
    return found;
  }

  /** @throws PatchbayError CALL_NOT_FOUND when there is no such call, or nothing is kept of it */
  async trace(accountId: string, id: string): Promise<CallTrace> {
    const { deviceId } = await this.call(accountId, id);
    const trace = await this.#traces.of(accountId, deviceId);
    if (!trace) throw noTrace();
    return trace;
  }

  /**
   * @throws PatchbayError CALL_NOT_FOUND when there is no such call, or nothing is kept of it; NO_LEADER when a gateway that
   *   may have something cannot be reached
   */
  async deleteTrace(accountId: string, id: string): Promise<void> {
    const { deviceId } = await this.call(accountId, id);
    if (!(await this.#traces.delete(accountId, deviceId))) throw noTrace();
  }

  /** @throws PatchbayError CALL_NOT_FOUND when there is no such call, or nothing is kept of it */
  async quality(accountId: string, id: string): Promise<QualitySeries> {
    const { connectionId } = await this.call(accountId, id);
    const series = this.#quality.of(accountId, connectionId);
    if (series) return series;
    throw new PatchbayError(
      'PATCHBAY_CALL_NOT_FOUND',
      'Nothing is kept of how this call sounded: it was before the start of the gateway, or too many calls came since.',
    );
  }

  #connected(accountId: string, connection: UsageConnection): Call {
    const { connectionId, deviceId, kind, direction, caller, callerName, called } = connection;
    const { participantId, participantTag, sessionId, sessionTag, sessions } = connection;
    const { test, startedAt, endedAt, seconds, endReason, received, sent, quality } = connection;
    return {
      connectionId,
      deviceId,
      kind,
      direction,
      state: endedAt === undefined ? 'live' : 'ended',
      caller,
      callerName,
      called,
      participantId,
      participantTag,
      sessionId,
      sessionTag,
      test,
      startedAt,
      endedAt,
      seconds,
      endReason,
      ...(endReason !== undefined && explainEnd(endReason)),
      received,
      sent,
      quality: quality ?? this.#quality.latest(accountId, connectionId),
      sessions,
    };
  }

  #failed(accountId: string, filter: CallFilter): readonly Call[] {
    // They never were in a session.
    if (filter.sessionId !== undefined) return [];
    return this.#usage
      .failedCalls(accountId)
      .map(failedCall)
      .filter((call) => fits(call, filter));
  }
}

function noTrace(): PatchbayError {
  return new PatchbayError(
    'PATCHBAY_CALL_NOT_FOUND',
    'No SIP messages of this call are kept: it is no phone, it was before the start of its gateway, that cannot be reached ' +
      'now, too many calls came since, or PATCHBAY_TRACE_MB is 0.',
  );
}

function failedCall(failure: ListedFailure): Call {
  const { id, externalId, at, codecs, status, ...facts } = failure;
  return {
    ...facts,
    connectionId: id,
    deviceId: externalId,
    state: 'failed',
    startedAt: at,
    endedAt: at,
    seconds: 0,
    status,
    offeredCodecs: codecs,
    ...explainRefusal(status),
    sessions: [],
  };
}

function fits(call: Call, { from, to, tag, participantId, kind, caller, deviceId }: CallFilter): boolean {
  return (
    (from === undefined || call.startedAt >= from) &&
    (to === undefined || call.startedAt < to) &&
    (tag === undefined || call.participantTag === tag) &&
    (participantId === undefined || call.participantId === participantId) &&
    (kind === undefined || call.kind === kind) &&
    (caller === undefined || [call.caller, call.callerName].some((text) => text?.includes(caller))) &&
    (deviceId === undefined || call.deviceId === deviceId || call.connectionId === deviceId)
  );
}

interface Place {
  readonly at: number;
  readonly connectionId: string;
}

const placed = ({ startedAt: at, connectionId }: Call): Place => ({ at, connectionId });

/** Whether a call comes after a place in the list, which has the newest first. */
function isAfter({ at, connectionId }: Place, call: Call): boolean {
  if (call.startedAt !== at) return call.startedAt < at;
  return call.connectionId < connectionId;
}

/** @throws PatchbayError BAD_REQUEST */
function placeOf(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  const [, at, connectionId] = CURSOR.exec(cursor) ?? [];
  if (at === undefined || connectionId === undefined) {
    throw new PatchbayError('PATCHBAY_BAD_REQUEST', 'cursor must be the next of the previous page.');
  }
  return { at: Number(at), connectionId };
}
