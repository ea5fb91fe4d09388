import { writeNack } from '../../rtp/index.js';
import { LostPackets } from './lost-packets.js';

const TICK_MS = 10;
/** Sequence numbers in one NACK: one datagram of modest size. */
const MAX_SEQUENCES = 200;

export interface LossRepairOptions {
  readonly localSsrc: number;
  readonly ssrc: number;
  readonly send: (packet: Buffer) => void;
  /** More is lost than can be repeated. */
  readonly onHopeless: () => void;
}

/** Asks the publisher for lost packets of one SSRC (RFC 4585 section 6.2.1), again until they come or are too old. */
export class LossRepair {
  readonly #options: LossRepairOptions;
  readonly #lost = new LostPackets();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LossRepairOptions) {
    this.#options = options;
  }

  /** @param sequence of a packet that came, first sent or repeated */
  onPacket(sequence: number, nowMs: number): void {
    const before = this.#lost.count;
    if (!this.#lost.onPacket(sequence, nowMs)) this.#options.onHopeless();
    if (this.#lost.count <= before) return;
    this.#ask(nowMs);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    this.#ask(performance.now());
    if (this.#lost.count === 0) this.stop();
  }

  #ask(nowMs: number): void {
    const due = this.#lost.due(nowMs).slice(0, MAX_SEQUENCES);
    const { localSsrc, ssrc, send } = this.#options;
    if (due.length > 0) send(writeNack(localSsrc, ssrc, due));
  }
}
