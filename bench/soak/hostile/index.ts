import { launchChromium } from '../../../test/support/chromium.js';
import { pause, type Attack, type Target } from './attack.js';
import { MEDIA_ATTACKS } from './media.js';
import { PAGE_ATTACKS } from './page.js';
import { SIP_ATTACKS } from './sip.js';
import { TENANT_ATTACKS } from './tenant.js';

/** A turn that takes longer is given up and reported. */
const TURN_LIMIT_MS = 90_000;

export interface HostileOutcome {
  /** Number of turns of each attack. */
  readonly turns: ReadonlyMap<string, number>;
  /** What the gateway failed to prevent, and attacks that could not be made, for people. */
  readonly wrong: readonly string[];
}

const ATTACKS = [...SIP_ATTACKS, ...MEDIA_ATTACKS, ...PAGE_ATTACKS, ...TENANT_ATTACKS];

/** Makes all attacks at the same time, repeatedly, until `ends` (`performance.now()`). */
export async function runHostileCrowd(known: Omit<Target, 'chrome'>, ends: number): Promise<HostileOutcome> {
  const chrome = await launchChromium();
  const target = { ...known, chrome };
  const turns = new Map<string, number>();
  const wrong = new Set<string>();
  const repeat = async (attack: Attack): Promise<void> => {
    while (performance.now() < ends) {
      try {
        const seen = await limited(attack.turn(target));
        if (seen !== undefined) wrong.add(seen);
        turns.set(attack.name, (turns.get(attack.name) ?? 0) + 1);
      } catch (error) {
        // Without the request's id, so that the same error is reported once.
        wrong.add(`${attack.name}: ${String(error).replace(/"requestId":"[^"]*"/, '')}`);
      }
      await pause(attack.everyMs);
    }
  };
  try {
    await Promise.all(ATTACKS.map(repeat));
  } finally {
    await chrome.close();
  }
  for (const { name } of ATTACKS) if (!turns.has(name)) wrong.add(`${name}: never done`);
  return { turns, wrong: [...wrong] };
}

async function limited<T>(turn: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`a turn hangs for ${TURN_LIMIT_MS / 1000} s`)), TURN_LIMIT_MS);
  });
  try {
    return await Promise.race([turn, limit]);
  } finally {
    clearTimeout(timer);
  }
}
