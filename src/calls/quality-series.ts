import type { Core, DeviceQuality, DirectionQuality } from '../core/index.js';

/** The audio of one direction within a step. What was not measured is absent. */
interface StepQuality extends Omit<DirectionQuality, 'mosIsEstimate'> {
  /** Of the whole connection up to then. */
  readonly mos?: number;
}

/** One point of a series. */
interface QualityPoint {
  /** End of the step, in epoch milliseconds. */
  readonly at: number;
  readonly received: StepQuality;
  readonly sent: StepQuality;
}

export interface QualitySeries {
  /** Between two points; devices are measured every 5 s. */
  readonly stepSeconds: number;
  readonly points: readonly QualityPoint[];
}

/** Measured counts, which only rise: a point has what was added in its step. */
const COUNTS = ['packets', 'lost', 'discarded', 'concealedMs'] as const;
const LEVELS = ['jitterMs', 'roundTripMs', 'levelDb', 'mos'] as const;
const COLUMNS = [...COUNTS, ...LEVELS] as const;
const WIDTH = COLUMNS.length * 2;
const MEASURED_S = 5;
/** An hour of points; then every two become one, and so on. */
const MAX_POINTS = 720;
const FIRST_POINTS = 24;
/** What is kept of one account; the series of calls that are over leave first. */
const ACCOUNT_BYTES = 4 * 1_048_576;
const POINT_BYTES = WIDTH * Float32Array.BYTES_PER_ELEMENT + Float64Array.BYTES_PER_ELEMENT;

/** The points of one connection, in columns. */
class Series {
  #times = new Float64Array(FIRST_POINTS);
  #values = new Float32Array(FIRST_POINTS * WIDTH);
  #length = 0;
  /** Measurements in one point. */
  #perPoint = 1;
  /** Measurements in the last point. */
  #inLast = 1;
  latest: DeviceQuality | undefined;
  /** An earlier gateway measured its beginning: what comes first is no point, but what later ones are counted from. */
  readonly #isCarried: boolean;

  constructor(isCarried: boolean) {
    this.#isCarried = isCarried;
  }

  get bytes(): number {
    return this.#times.length * POINT_BYTES;
  }

  add(at: number, quality: DeviceQuality): void {
    const row = Float32Array.from([...this.#row(quality, 'received'), ...this.#row(quality, 'sent')]);
    const isFirst = this.latest === undefined;
    this.latest = quality;
    if (isFirst && this.#isCarried) return;
    if (this.#inLast < this.#perPoint && this.#length > 0) {
      this.#inLast += 1;
      this.#merge(this.#length - 1, row, this.#inLast);
      this.#times[this.#length - 1] = at;
      return;
    }
    if (this.#length === MAX_POINTS) this.thin();
    if (this.#length === this.#times.length) this.#resize(Math.min(MAX_POINTS, this.#length * 2));
    this.#times[this.#length] = at;
    this.#values.set(row, this.#length * WIDTH);
    this.#length += 1;
    this.#inLast = 1;
  }

  /** Makes one point of every two. */
  thin(): void {
    for (let to = 0; to * 2 < this.#length; to += 1) {
      const from = to * 2;
      const row = this.#values.slice(from * WIDTH, (from + 1) * WIDTH);
      this.#values.set(row, to * WIDTH);
      this.#times[to] = this.#times[from]!;
      if (from + 1 >= this.#length) continue;
      this.#merge(to, this.#values.slice((from + 1) * WIDTH, (from + 2) * WIDTH), 2);
      this.#times[to] = this.#times[from + 1]!;
    }
    // One that is left over stays as it is, and the next begins a new one.
    this.#length = Math.ceil(this.#length / 2);
    this.#perPoint *= 2;
    this.#inLast = this.#perPoint;
    this.#resize(Math.max(FIRST_POINTS, this.#length));
  }

  read(): QualitySeries {
    const points = Array.from({ length: this.#length }, (_, index): QualityPoint => {
      const row = this.#values.subarray(index * WIDTH, (index + 1) * WIDTH);
      return {
        at: this.#times[index]!,
        received: shown(row.subarray(0, COLUMNS.length)),
        sent: shown(row.subarray(COLUMNS.length)),
      };
    });
    return { stepSeconds: MEASURED_S * this.#perPoint, points };
  }

  #row(quality: DeviceQuality, direction: keyof DeviceQuality): number[] {
    const [now, before] = [quality[direction], this.latest?.[direction]];
    return [
      // A count falls when it was begun anew.
      ...COUNTS.map((name) => Math.max(0, (now[name] ?? Number.NaN) - (before?.[name] ?? 0))),
      ...LEVELS.map((name) => now[name] ?? Number.NaN),
    ];
  }

  /** @param weight of how many parts the point is then the mean */
  #merge(index: number, row: Float32Array, weight: number): void {
    for (let column = 0; column < WIDTH; column += 1) {
      const at = index * WIDTH + column;
      const [old, added] = [this.#values[at]!, row[column]!];
      if (Number.isNaN(old)) this.#values[at] = added;
      else if (!Number.isNaN(added)) {
        const isCount = column % COLUMNS.length < COUNTS.length;
        this.#values[at] = isCount ? old + added : old + (added - old) / weight;
      }
    }
  }

  #resize(points: number): void {
    if (points === this.#times.length) return;
    const [times, values] = [this.#times, this.#values];
    this.#times = new Float64Array(points);
    this.#values = new Float32Array(points * WIDTH);
    this.#times.set(times.subarray(0, Math.min(points, this.#length)));
    this.#values.set(values.subarray(0, Math.min(points, this.#length) * WIDTH));
  }
}

function shown(row: Float32Array): StepQuality {
  const known = COLUMNS.flatMap((name, column) => {
    const value = row[column]!;
    return Number.isNaN(value) ? [] : [[name, Math.round(value * 100) / 100] as const];
  });
  return { packets: 0, ...Object.fromEntries(known) };
}

interface AccountSeries {
  /** By connection. */
  readonly live: Map<string, Series>;
  /** Of connections that are over, the oldest first. */
  readonly over: Map<string, Series>;
  bytes: number;
}

/** How the audio of each device fared over its time. In memory only. */
export class QualityHistory {
  readonly #accounts = new Map<string, AccountSeries>();
  readonly #accountBytes: number;
  #dropped = 0;

  constructor(core: Pick<Core, 'on'>, accountBytes = ACCOUNT_BYTES) {
    this.#accountBytes = accountBytes;
    core.on('connected', ({ participant, device }) => this.#begin(participant.accountId, device.id, false));
    core.on('carriedOver', ({ participant, device }) => this.#begin(participant.accountId, device.id, true));
    core.on('qualityMeasured', ({ at, participant, device, quality }) => {
      if (quality) this.#measured(participant.accountId, device.id, at, quality);
    });
    core.on('left', ({ participant, device }) => {
      const account = this.#accounts.get(participant.accountId);
      const series = account?.live.get(device.id);
      if (!account || !series) return;
      account.live.delete(device.id);
      account.over.set(device.id, series);
    });
  }

  /** Bytes that are kept, and connections of which nothing is, since the account had too many at once. */
  counts(): { readonly bytes: number; readonly dropped: number } {
    const bytes = [...this.#accounts.values()].reduce((sum, account) => sum + account.bytes, 0);
    return { bytes, dropped: this.#dropped };
  }

  of(accountId: string, connectionId: string): QualitySeries | undefined {
    return this.#find(accountId, connectionId)?.read();
  }

  /** What was measured last. */
  latest(accountId: string, connectionId: string): DeviceQuality | undefined {
    return this.#find(accountId, connectionId)?.latest;
  }

  #find(accountId: string, connectionId: string): Series | undefined {
    const account = this.#accounts.get(accountId);
    return account?.live.get(connectionId) ?? account?.over.get(connectionId);
  }

  #begin(accountId: string, connectionId: string, isCarried: boolean): void {
    const account = this.#accounts.get(accountId) ?? { live: new Map(), over: new Map(), bytes: 0 };
    this.#accounts.set(accountId, account);
    const series = new Series(isCarried);
    // Half of it stays for the length of the calls.
    if ((account.live.size + 1) * series.bytes > this.#accountBytes / 2) {
      this.#dropped += 1;
      return;
    }
    account.live.set(connectionId, series);
    account.bytes += series.bytes;
    this.#makeRoom(account);
  }

  #measured(accountId: string, connectionId: string, at: number, quality: DeviceQuality): void {
    const account = this.#accounts.get(accountId);
    const series = account?.live.get(connectionId);
    if (!account || !series) return;
    const before = series.bytes;
    series.add(at, quality);
    account.bytes += series.bytes - before;
    this.#makeRoom(account);
  }

  #makeRoom(account: AccountSeries): void {
    for (const [id, series] of account.over) {
      if (account.bytes <= this.#accountBytes) return;
      account.over.delete(id);
      account.bytes -= series.bytes;
    }
    // All of it is of calls that are up: the longest ones lose detail.
    const long = [...account.live.values()].toSorted((a, b) => b.bytes - a.bytes);
    for (const series of long) {
      if (account.bytes <= this.#accountBytes) return;
      account.bytes -= series.bytes;
      series.thin();
      account.bytes += series.bytes;
    }
  }
}
