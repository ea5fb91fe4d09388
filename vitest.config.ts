import { defineConfig } from 'vitest/config';
import { COLUMNS, phoneTests } from './test/support/columns.js';

const SYSTEM = {
  globalSetup: ['test/support/build.ts'],
  // Each file starts gateways, browsers and SIPp: one at a time on a small machine.
  poolOptions: { forks: { singleFork: true } },
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

/** The tests of phones once more on other servers, or a word on why not. */
const columns = COLUMNS.map(({ name, env, missing }) =>
  missing.length === 0
    ? { test: { ...SYSTEM, name, include: phoneTests(), env } }
    : {
        test: {
          name,
          include: ['test/support/missing-column.test.ts'],
          env: { PATCHBAY_TEST_COLUMN: name, PATCHBAY_TEST_MISSING: missing.join(' and ') },
        },
      },
);

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'] } },
      { test: { ...SYSTEM, name: 'system', include: ['test/system/**/*.test.ts'] } },
      ...columns,
    ],
  },
});
