import { leaveBadly, LEAVE_NAMES } from './pages.js';
import { callBadly, HABIT_NAMES } from './phones.js';
import { type Application, Room } from './room.js';

interface IllBehavedOutcome {
  /** How often each was done. */
  readonly turns: ReadonlyMap<string, number>;
  /** What went wrong, for people. */
  readonly wrong: readonly string[];
}

/**
 * Phones whose RTP numbers deviate as those of real ones do, and pages that leave without a message: repeated until
 * `ends` (`performance.now()`), each at least once. Checks that a page and a phone beside them hear all the time, and
 * that digits are reported once.
 */
export async function runIllBehavedCrowd(
  application: Application,
  ends: number,
  limitS: number,
): Promise<IllBehavedOutcome> {
  const turns = new Map([...HABIT_NAMES, ...LEAVE_NAMES].map((name) => [name, 0]));
  const wrong = new Set<string>();
  const about = {
    isDue: (name: string) => performance.now() < ends || turns.get(name) === 0,
    did: (name: string) => void turns.set(name, turns.get(name)! + 1),
  };
  const disturbed = (error: unknown): void =>
    void wrong.add(`others beside the ill-behaved: ${String(error).slice(0, 500)}`);
  const room = await Room.open(application, limitS);
  const repeat = async (turn: typeof callBadly): Promise<void> => {
    do {
      try {
        for (const seen of await turn(room, about)) wrong.add(seen);
      } catch (error) {
        wrong.add(`the ill-behaved: ${String(error).slice(0, 500)}`);
      }
    } while (performance.now() < ends);
  };
  try {
    await Promise.all([repeat(callBadly), repeat(leaveBadly)]);
    await room.isUndisturbed();
  } catch (error) {
    disturbed(error);
  }
  await room.close().catch(disturbed);
  for (const [name, count] of turns) if (count === 0) wrong.add(`${name}: never done`);
  return { turns, wrong: [...wrong] };
}
