import type { Rate } from '../../shared/index.js';
import type { SocketLimits } from '../socket-gate.js';

/** How much one program, participant, account or address may use. */
export interface ProgramLimits extends SocketLimits {
  /** Bytes of one message. A longer one is not taken; one that is four times as long closes the socket with 1009. */
  readonly messageBytes: number;
  readonly messages: Rate;
  /** Bytes of all messages of one socket. */
  readonly bytes: Rate;
  /** Messages that cannot be acted on, or are too many. With more the socket is closed with 1008. */
  readonly badMessages: Rate;
  /** Marks that were not answered yet. */
  readonly marks: number;
  /** Longest audio of a program that waits to be played. */
  readonly queueMs: number;
  /** Bytes given to the system for a program that does not read; more audio waits in the gateway. */
  readonly socketBytes: number;
  /** How long a program may take to read what it was sent; more audio waits in the gateway meanwhile. */
  readonly unreadMs: number;
  /** Longest time that audio waits for a program that does not read. Then the oldest is dropped. */
  readonly waitingMs: number;
  /** Messages of audio that wait so, at most. */
  readonly waitingMessages: number;
  /** Bytes of all that waits for a program. With more, its socket is cut. */
  readonly outgoingBytes: number;
  /** New devices of one participant. */
  readonly devices: Rate;
  /** Programs that the gateway connects to, of all accounts and of one. */
  readonly targets: number;
  readonly targetsPerAccount: number;
  /** A socket is cut if its program has not answered our close frame after this many ms. */
  readonly closeMs: number;
}

const KIBIBYTE = 1024;
const MEBIBYTE = 1024 * KIBIBYTE;

export const DEFAULT_PROGRAM_LIMITS: ProgramLimits = {
  sockets: 2_000,
  socketsPerAddress: 500,
  connects: { burst: 200, perSecond: 40 },
  messageBytes: MEBIBYTE,
  // A program may send a minute of speech at once, in messages of 20 ms.
  messages: { burst: 4_000, perSecond: 200 },
  bytes: { burst: 8 * MEBIBYTE, perSecond: MEBIBYTE },
  badMessages: { burst: 20, perSecond: 0.2 },
  marks: 1_000,
  queueMs: 60_000,
  socketBytes: 64 * KIBIBYTE,
  unreadMs: 2_000,
  waitingMs: 2_000,
  waitingMessages: 2_000,
  outgoingBytes: MEBIBYTE,
  devices: { burst: 20, perSecond: 1 },
  targets: 2_000,
  targetsPerAccount: 1_000,
  closeMs: 5_000,
};
