import type { Hearing } from './hearing.js';

/** One who says a tone and hears those of others, by a phone or another kind of device. */
export interface Talker {
  readonly tone: number;
  readonly hearing: Hearing;
  readonly isInCall: boolean;
  /** Names the present call, for people. */
  readonly callId: string | undefined;
  /** Says what is due by now. */
  talk(): void;
  /** @throws NotAnswered when it is refused, or there is no answer */
  call(token: string): Promise<void>;
  /** Offers its media again, as they are, if it can. */
  offerAgain(): Promise<void>;
  hangUp(): Promise<void>;
  /** REST is asked to end the call. Resolves when the gateway has. @throws Error when it does not */
  removed(withinMs: number): Promise<void>;
  close(): void;
}
