import { launchChromium } from '../../../test/support/chromium.js';
import { pause, type Attack, type Target } from './attack.js';
import { MEDIA_ATTACKS } from './media.js';
import { PAGE_ATTACKS } from './page.js';
import { SIP_ATTACKS } from './sip.js';
import { TENANT_ATTACKS } from './tenant.js';

/** How a run of all attacks went. */
export interface HostileOutcome {
  /** Turns done of each attack. */
  readonly turns: ReadonlyMap<string, number>;
  /** What the gateway let happen, and attacks that could not be made, in words. */
  readonly wrong: readonly string[];
}

const ATTACKS = [...SIP_ATTACKS, ...MEDIA_ATTACKS, ...PAGE_ATTACKS, ...TENANT_ATTACKS];

/** Makes every attack at once, again and again, until `ends` (`performance.now()`). */
export async function runHostileCrowd(known: Omit<Target, 'chrome'>, ends: number): Promise<HostileOutcome> {
  const chrome = await launchChromium();
  const target = { ...known, chrome };
  const turns = new Map<string, number>();
  const wrong = new Set<string>();
  const repeat = async (attack: Attack): Promise<void> => {
    while (performance.now() < ends) {
      try {
        const seen = await attack.turn(target);
        if (seen !== undefined) wrong.add(seen);
        turns.set(attack.name, (turns.get(attack.name) ?? 0) + 1);
      } catch (error) {
        wrong.add(`${attack.name}: ${String(error)}`);
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
