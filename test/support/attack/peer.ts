/**
 * A participant that means harm, in a process of its own: `peer.ts WS_URL TOKEN KIND COUNT SEED`. It connects like any
 * client, with SRTP, and sends packets of a kind; prints how many its own library let out.
 */
import { LoadParticipant } from '../../../bench/sfu/load-participant.js';
import { Dice, wildRtcp, wildRtp } from './wild-packets.js';

/** Audio and video claim one source, and all attackers the same. */
const SOURCE = 0x5eed_5eed;
const FIRST_OFFER_SOURCES = { audio: SOURCE, video: SOURCE };
/** Packets between breaths, so that the path takes them. */
const BURST = 200;

const KINDS = {
  wild: (dice: Dice) =>
    dice.below(3) === 0 ? wildRtcp(dice, [SOURCE, 0, 1, 2]) : wildRtp(dice, [SOURCE, SOURCE + 1]),
  /** Each packet is of a source of its own. */
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
    // What libsrtp refuses to seal, no attacker with it could send.
  }
  if (left % BURST === 0) await new Promise((resolve) => setTimeout(resolve, 5));
}
console.log(JSON.stringify({ sent }));
participant.close();
process.exit(0);
