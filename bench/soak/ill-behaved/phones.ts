import { RawPhone } from '../../../test/support/raw-phone.js';
import { audioAddressOf } from '../../../test/support/sip-message.js';
import { phoneOffer } from '../../../test/support/sipp.js';
import { callIn, type Room, type Turns } from './room.js';

/** A deviation in RTP numbers that real phones show, between two tones. */
interface Habit {
  readonly name: string;
  /** @returns the digits that must be reported */
  readonly act: (phone: RawPhone) => Promise<string> | string;
}

const random = (below: number): number => Math.floor(Math.random() * below);

const silently = (change: (phone: RawPhone) => void) => (phone: RawPhone) => {
  change(phone);
  return '';
};

const HABITS: readonly Habit[] = [
  { name: 'sequence back', act: silently((phone) => (phone.sequence -= 5000)) },
  { name: 'a packet ahead', act: silently((phone) => phone.stray(phone.sequence + 5000)) },
  {
    name: 'numbers anywhere',
    act: silently((phone) =>
      Object.assign(phone, { sequence: random(0x10000), timestamp: random(0x80000000) }),
    ),
  },
  { name: 'timestamps back', act: silently((phone) => (phone.timestamp -= 8000)) },
  { name: 'timestamps far back', act: silently((phone) => (phone.timestamp -= 40_000)) },
  {
    name: 'keys before and after lower timestamps',
    act: async (phone) => {
      phone.press('1');
      await phone.later(15);
      phone.timestamp -= 0x10000000;
      phone.ssrc += 1;
      await phone.later(15);
      phone.press('2');
      await phone.later(15);
      phone.timestamp -= 28_800_000;
      await phone.later(15);
      phone.press('3');
      return '123';
    },
  },
  {
    name: 'keys whose timestamps move, or stand still',
    act: async (phone) => {
      phone.pressMoving('4', 4);
      await phone.later(15);
      phone.pressMoving('7', 0);
      await phone.later(15);
      for (const digit of '1255') {
        phone.press(digit, 0x3200);
        await phone.later(15);
      }
      return '471255';
    },
  },
  {
    name: 'keys on an SSRC of their own',
    act: async (phone) => {
      const [sequence, timestamp] = [random(0x10000), random(0x80000000)];
      await phone.pressBeside('8', sequence, timestamp);
      await phone.later(5);
      await phone.pressBeside('9', sequence + 10, timestamp + 8000);
      return '89';
    },
  },
];

const WATCHED_PACKETS = 150;
const SAMPLE_RATE = 48_000;
/** How much more of three seconds a page may conceal than of a well-behaved phone; with bugs it was 0.9 s and more. */
const MADE_UP_S = 0.6;
const DIGITS_WITHIN_MS = 20_000;
const TONES = [500, 900];

/** Names of the habits; a turn does each once. */
export const HABIT_NAMES = HABITS.map(({ name }) => name);

/**
 * One call of a phone with all habits. Checks after each that the others hear it and that its digits are reported once.
 * @returns what went wrong, for people
 */
export async function callBadly(room: Room, { isDue, did }: Turns): Promise<string[]> {
  const { webhooks } = room;
  const { gateway, rest } = room.application;
  const { id, token } = await room.member();
  const phone = await RawPhone.open();
  const wrong: string[] = [];
  try {
    const sdp = (): string => phoneOffer(phone.port);
    const call = await callIn({ sipPort: gateway.sipPort, token, invite: { sdp }, limitS: 300 });
    const { body } = await call.final();
    call.tones.pause();
    phone.start(audioAddressOf(body));
    // Even the first packet of a call may have a wrong number.
    phone.stray(phone.sequence + 5000);
    phone.frequency = TONES[0]!;
    await room.bothHear(TONES[0]!, id);
    let digits = '';
    for (const [n, { name, act }] of HABITS.entries()) {
      if (!isDue(name)) continue;
      const excess = await madeUpOver(room, id, phone, async () => (digits += await act(phone)));
      if (excess > MADE_UP_S)
        wrong.push(`${name}: a page made up ${excess.toFixed(1)} s more than of others`);
      const told = await webhooks
        .digitsOf(id, digits.length, DIGITS_WITHIN_MS)
        .catch(() => webhooks.digits(id));
      if (told !== digits) wrong.push(`${name}: digits ${digits} were told as ${told}`);
      // Compare the next digits with these.
      digits = told;
      const tone = TONES[(n + 1) % TONES.length]!;
      phone.frequency = tone;
      await room.bothHear(tone, id).catch((error: unknown) => {
        throw new Error(`after ${name}: ${String(error)}`, { cause: error });
      });
      did(name);
    }
    await call.hangUp();
    await webhooks.event('onLeave', id, DIGITS_WITHIN_MS);
    const told = webhooks.digits(id);
    if (told !== digits) wrong.push(`digits ${digits} had become ${told} by the end of the call`);
    await call.end();
  } finally {
    phone.close();
    await rest.deleteParticipant(id);
  }
  return wrong;
}

/** Seconds of sound that a page concealed of this phone over a change, minus those of a well-behaved phone. */
async function madeUpOver(
  room: Room,
  participantId: string,
  phone: RawPhone,
  change: () => Promise<unknown>,
): Promise<number> {
  const streams = [await room.streamOf(participantId), await room.streamOf(room.phoneId)];
  const concealed = async (): Promise<number[]> => {
    const counters = await Promise.all(streams.map((streamId) => room.page.counters(streamId)));
    return counters.map(({ audio }) => audio?.concealedSamples ?? 0);
  };
  const before = await concealed();
  await change();
  await phone.later(WATCHED_PACKETS);
  const after = await concealed();
  const [bad, good] = after.map((samples, i) => (samples - before[i]!) / SAMPLE_RATE);
  return bad! - good!;
}
