import { PatchbayError } from './errors.js';
import type { DeviceKind, Participant } from './types.js';

/**
 * Whose noise is suppressed. It costs much of a processor for each stream: so there are only so many places, whatever the
 * account and the media host. Who is given one by REST has it until it is taken or deleted, connected or not; what is left
 * goes to devices of the configured kinds, as they come.
 */
export class NoiseSuppression {
  readonly #places: number;
  readonly #kinds: readonly DeviceKind[];
  readonly #holders = new Set<string>();
  #refused = 0;

  /** @param kinds devices whose noise is suppressed unless REST says otherwise */
  constructor(places: number, kinds: readonly DeviceKind[]) {
    this.#places = places;
    this.#kinds = kinds;
  }

  /** Places that are taken. */
  get taken(): number {
    return this.#holders.size;
  }

  /** How often there was none. */
  get refused(): number {
    return this.#refused;
  }

  holds(participantId: string): boolean {
    return this.#holders.has(participantId);
  }

  /**
   * Whether REST may give a participant, or a new one, a place.
   * @throws PatchbayError NOISE_SUPPRESSION_FULL
   */
  admit(participantId?: string): void {
    if ((participantId !== undefined && this.holds(participantId)) || this.taken < this.#places) return;
    this.#refused += 1;
    throw new PatchbayError(
      'PATCHBAY_NOISE_SUPPRESSION_FULL',
      `The noise of ${this.#places} participants is suppressed already, and no more is possible.`,
    );
  }

  /** Gives or takes the place as the participant's setting and its device, if one is connected, say. */
  follow({ id, noiseSuppression }: Participant, connected: DeviceKind | undefined): void {
    const wants = noiseSuppression ?? (connected !== undefined && this.#kinds.includes(connected));
    if (!wants) this.#holders.delete(id);
    else if (this.holds(id) || this.taken < this.#places) this.#holders.add(id);
    else this.#refused += 1;
  }

  /** The participant is deleted. */
  release(participantId: string): void {
    this.#holders.delete(participantId);
  }
}
