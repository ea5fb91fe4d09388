import type { Rest } from './rest.js';
import { until } from './until.js';

interface UsageItem {
  readonly participantId: string;
  readonly endReason?: string;
}

/** Waits until the usage record of a participant's one connection is closed. @returns why it ended */
export function endReasonOf(rest: Rest, participantId: string, withinMs = 20_000): Promise<string> {
  const items = async (): Promise<readonly UsageItem[]> =>
    ((await rest.request('GET', '/usage?limit=1000')) as { items: readonly UsageItem[] }).items;
  return until(
    'a closed usage record',
    async () => (await items()).find((item) => item.participantId === participantId)?.endReason,
    { withinMs, seen: items },
  );
}
