/** How long sound was missing, for each kind of fault. */
export class Gaps {
  readonly #rows = new Map<string, { readonly gapMs: number[]; readonly wellMs: number[] }>();

  /**
   * @param gapMs the longest time for which somebody did not hear all whom it was to hear
   * @param wellMs from the fault until everybody heard all again; absent: there was no fault
   */
  add(fault: string, gapMs: number, wellMs?: number): void {
    const row = this.#rows.get(fault) ?? { gapMs: [], wellMs: [] };
    this.#rows.set(fault, row);
    row.gapMs.push(gapMs);
    if (wellMs !== undefined) row.wellMs.push(wellMs);
  }

  /** For people, and for docs/benchmarks.md. */
  table(): string {
    const rows = [...this.#rows].sort(([a], [b]) => a.localeCompare(b));
    return [
      '| fault | times | longest gap: median | max | all is well: median | max |',
      '| --- | --- | --- | --- | --- | --- |',
      ...rows.map(
        ([fault, { gapMs, wellMs }]) =>
          `| ${fault} | ${gapMs.length} | ${inSeconds(gapMs)} | ${inSeconds(wellMs)} |`,
      ),
    ].join('\n');
  }
}

function inSeconds(values: readonly number[]): string {
  if (values.length === 0) return '- | -';
  const sorted = [...values].sort((a, b) => a - b);
  return [sorted[sorted.length >> 1]!, sorted.at(-1)!].map((ms) => `${(ms / 1000).toFixed(2)} s`).join(' | ');
}
