import { type Participant, PatchbayError } from '../../../core/index.js';
import type { CarriedDevice } from '../../../media/index.js';
import { type CarriedProgram, readProgramNote } from '../program-identity.js';
import { Dialer, type DialerParts, type DialerState } from './dialer.js';
import { bad, checkedTarget, type NewTarget, socketUrl, type Target } from './target.js';

/** Where targets survive a restart, by the id of their participant. */
export interface TargetStore {
  /** Those of an earlier gateway; told once. */
  programs(): readonly { readonly id: string; readonly document: string }[];
  saveProgram(id: string, document: string): void;
  deleteProgram(id: string): void;
  /** @throws PatchbayError STORE_UNAVAILABLE while the disk takes no writes */
  admitChange(): void;
}

/** What an application may know of a target: neither URL nor headers, which may hold secrets. */
interface TargetView {
  readonly dialect: Target['dialect'];
  readonly rate: Target['rate'];
  readonly channels: Target['channels'];
  readonly host: string;
  readonly state: DialerState;
  /** Why the last attempt failed. */
  readonly failure?: string;
}

/** How many targets are in each state. */
export type TargetCounts = Readonly<Record<DialerState, number>>;

/** The programs to which the gateway connects, as applications ask for. */
export class ProgramTargets {
  readonly #parts: DialerParts;
  readonly #store: TargetStore;
  readonly #dialers = new Map<string, Dialer>();
  /** Targets of each account. */
  readonly #byAccount = new Map<string, number>();

  constructor(parts: DialerParts, store: TargetStore) {
    this.#parts = parts;
    this.#store = store;
  }

  counts(): TargetCounts {
    const counts = { connecting: 0, connected: 0, waiting: 0 };
    for (const { state } of this.#dialers.values()) counts[state] += 1;
    return counts;
  }

  /**
   * Begins to connect to a program, in place of the one that the participant had and that is not connected. Resolves when
   * that survives a restart.
   * @throws PatchbayError BAD_REQUEST, PARTICIPANT_NOT_FOUND, ALREADY_CONNECTED, TOO_MANY_CALLS, STORE_UNAVAILABLE
   */
  async connect(accountId: string, participantId: string, wanted: NewTarget): Promise<TargetView> {
    const target = checkedTarget(wanted);
    this.#participant(accountId, participantId);
    const refusal = await this.#parts.guard.refusal(socketUrl(target.url));
    if (refusal !== undefined) throw bad('url', refusal.replace(/\.$/, ''));
    // It may have been deleted, or got a device, meanwhile.
    const participant = this.#participant(accountId, participantId);
    const { core } = this.#parts;
    this.#store.admitChange();
    if (core.connectedDevice(participantId))
      throw new PatchbayError('PATCHBAY_ALREADY_CONNECTED', 'The participant has a device connected.');
    const before = this.#dialers.get(participantId);
    if (!before) this.#admit(accountId);
    core.admitDevice(participant);
    if (before) this.#remove(before, accountId);
    this.#store.saveProgram(participantId, JSON.stringify(target));
    const dialer = this.#add(participant, target);
    dialer.start();
    await core.flush();
    return viewOf(dialer);
  }

  /** @throws PatchbayError PARTICIPANT_NOT_FOUND, DEVICE_NOT_FOUND */
  program(accountId: string, participantId: string): TargetView {
    return viewOf(this.#dialerOf(accountId, participantId));
  }

  /**
   * Ends the connection to a program, and tries no more.
   * @throws PatchbayError PARTICIPANT_NOT_FOUND, DEVICE_NOT_FOUND, STORE_UNAVAILABLE
   */
  async disconnect(accountId: string, participantId: string): Promise<void> {
    const dialer = this.#dialerOf(accountId, participantId);
    this.#store.admitChange();
    this.#remove(dialer, accountId);
    dialer.stop('disconnected');
    await this.#parts.core.flush();
  }

  /** Goes on with the targets of an earlier gateway, and with those of its devices that outlived it. */
  async restore(carried: readonly CarriedDevice[]): Promise<void> {
    const programs = new Map<string, CarriedProgram>();
    for (const device of carried) {
      const note = device.kind === 'program' ? readProgramNote(device.note) : undefined;
      if (note?.direction === 'outbound') programs.set(note.participantId, { device, note });
    }
    for (const { id, document } of this.#store.programs()) {
      const participant = this.#parts.core.participantOf(id);
      if (!participant) {
        this.#store.deleteProgram(id);
        continue;
      }
      const dialer = this.#add(participant, JSON.parse(document) as Target);
      const left = programs.get(id);
      if (left) await dialer.startWith(left);
      else dialer.start();
    }
  }

  /** Connects no more. The targets stay for the next gateway. */
  stop(): void {
    for (const dialer of this.#dialers.values()) dialer.stop();
  }

  /** @throws PatchbayError PARTICIPANT_NOT_FOUND */
  #participant(accountId: string, participantId: string): Participant {
    const participant = this.#parts.core.participantOf(participantId);
    if (participant?.accountId === accountId) return participant;
    throw new PatchbayError('PATCHBAY_PARTICIPANT_NOT_FOUND', 'There is no such participant.');
  }

  #dialerOf(accountId: string, participantId: string): Dialer {
    this.#participant(accountId, participantId);
    const dialer = this.#dialers.get(participantId);
    if (dialer) return dialer;
    throw new PatchbayError(
      'PATCHBAY_DEVICE_NOT_FOUND',
      'The gateway was not asked to connect the participant to a program.',
    );
  }

  /** @throws PatchbayError TOO_MANY_CALLS */
  #admit(accountId: string): void {
    const { targets, targetsPerAccount } = this.#parts.programs.parts.limits;
    if (this.#dialers.size < targets && (this.#byAccount.get(accountId) ?? 0) < targetsPerAccount) return;
    throw new PatchbayError(
      'PATCHBAY_TOO_MANY_CALLS',
      'The gateway connects to as many programs as it may, for this account or in all.',
    );
  }

  #add(participant: Participant, target: Target): Dialer {
    const { id, accountId } = participant;
    const dialer = new Dialer(participant, target, this.#parts, () => this.#remove(dialer, accountId));
    this.#dialers.set(id, dialer);
    this.#byAccount.set(accountId, (this.#byAccount.get(accountId) ?? 0) + 1);
    return dialer;
  }

  #remove(dialer: Dialer, accountId: string): void {
    const { participantId } = dialer;
    if (this.#dialers.get(participantId) !== dialer) return;
    this.#dialers.delete(participantId);
    this.#store.deleteProgram(participantId);
    const left = (this.#byAccount.get(accountId) ?? 1) - 1;
    if (left === 0) this.#byAccount.delete(accountId);
    else this.#byAccount.set(accountId, left);
    dialer.stop();
  }
}

function viewOf({ target: { dialect, rate, channels }, host, state, failure }: Dialer): TargetView {
  return { dialect, rate, channels, host, state, ...(failure !== undefined && { failure }) };
}
