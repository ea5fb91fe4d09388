/**
 * A hostile participant in its own process: `peer.ts WS_URL TOKEN KIND COUNT SEED`. It connects like any client, with
 * SRTP, and sends packets of one kind. Prints how many its library has sent.
 */
import { LoadParticipant } from '../../../bench/sfu/load-participant.js';
import { Dice, wildRtcp, wildRtp } from './wild-packets.js';

/** Audio and video claim one source, and all attackers the same. */
const SOURCE = 0x5eed_5eed;
const FIRST_OFFER_SOURCES = { audio: SOURCE, video: SOURCE };
/** Packets between two pauses, so that they are not lost on the way. */
const BURST = 200;

const KINDS = {
  wild: (dice: Dice) =>
    dice.below(3) === 0 ? wildRtcp(dice, [SOURCE, 0, 1, 2]) : wildRtp(dice, [SOURCE, SOURCE + 1]),
  /** Each packet has another SSRC. */
  sources: (dice: Dice) => {
    const packet = Buffer.concat([Buffer.from([0x80, 111, 0, 1]), dice.bytes(28)]);
    return packet;
  },
} satisfies Record<string, (dice: Dice) => Buffer>;

const [wsUrl, token, kind, count, seed] = process.argv.slice(2);
const make = KINDS[kind as keyof typeof KINDS];
const dice = new Dice(Number(seed));
const participant = new LoadParticipant(wsUrl!, token!);
await participant.start(FIRST_OFFER_SOURCES);
let sent = 0;
for (let left = Number(count); left > 0; left -= 1) {
  try {
    participant.send(make(dice));
    sent += 1;
  } catch {
    // An attacker could not send either what libsrtp refuses to encrypt.
  }
  if (left % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(JSON.stringify({ sent }));
participant.close();
process.exit(0);
