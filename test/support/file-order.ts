import { readFileSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Support modules that start browsers. */
const BROWSERS = ['support/chromium.js', 'support/firefox.js', 'support/stage.js', 'support/hop-stage.js'];

/**
 * Spreads the files with browsers, which need the most processor time, evenly among the others: as few of them as
 * possible run at the same time.
 */
export class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const [heavy, light] = [sorted.filter(hasBrowsers), sorted.filter((file) => !hasBrowsers(file))];
    const placed = [heavy, light].flatMap((list) =>
      list.map((file, i) => ({ file, at: (i + 0.5) / list.length })),
    );
    return placed.sort((a, b) => a.at - b.at).map(({ file }) => file);
  }
}

function hasBrowsers({ moduleId }: TestSpecification): boolean {
  const text = readFileSync(moduleId, 'utf8');
  return BROWSERS.some((name) => text.includes(name));
}
