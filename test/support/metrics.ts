import type { TestGateway } from './gateway.js';

/** The gateway's metrics at one moment, by name with labels as Prometheus writes them. */
export type Metrics = ReadonlyMap<string, number>;

export async function readMetrics(gateway: Pick<TestGateway, 'httpUrl'>): Promise<Metrics> {
  const response = await fetch(`${gateway.httpUrl}/metrics`);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))] as const;
    }),
  );
}

/** The sum of all series that begin so. */
export function sumOf(metrics: Metrics, prefix: string): number {
  return [...metrics].reduce((sum, [name, value]) => (name.startsWith(prefix) ? sum + value : sum), 0);
}

/**
 * The tables that should be empty when nobody is connected but are not, with their sizes. The queue of webhooks does not
 * count: those for a server that never answers wait for an hour.
 */
export function leftOvers(metrics: Metrics): Record<string, number> {
  const tables = [
    'patchbay_calls',
    'patchbay_devices{kind="phone"}',
    'patchbay_devices{kind="browser"}',
    'patchbay_sip_table_size{table="dialogs"}',
    'patchbay_sip_table_size{table="transactions"}',
  ];
  const entries = tables.map((name) => [name, metrics.get(name) ?? Number.NaN] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== 0));
}
