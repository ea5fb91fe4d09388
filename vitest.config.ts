import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { COLUMNS, phoneTests, systemTests } from './test/support/columns.js';
import { FileOrder } from './test/support/file-order.js';

/**
 * Whole-system tests wait for packets and timers half of their time: two files at a time, even on two cores. With three
 * there the browsers hold each other up, and all takes longer.
 */
const FILES_AT_A_TIME = 2;
const ONE_AT_A_TIME = { poolOptions: { forks: { singleFork: true } } };

/** Vitest gives up after 1 s, which is short on a loaded machine. */
const PATIENT = { expect: { poll: { timeout: 20_000 } } };

const SYSTEM = {
  ...PATIENT,
  globalSetup: ['test/support/build.ts'],
  setupFiles: ['test/support/no-process-left.ts'],
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

// Projects of one group run together, and groups after one another.
const [UNIT, TOGETHER, ALONE, LAST] = [0, 1, 2, 3].map((groupOrder) => ({ sequence: { groupOrder } }));

/** Gateways of tests have no media hosts, to start faster, except where this is set. */
const DEFAULT_HOSTS = { PATCHBAY_MEDIA_HOSTS: '' };

/** Tests of phones and browsers that run once more with the default number of media hosts. */
const ON_HOSTS = ['first-call', 'whisper', 'phone-talk', 'phone-endings'].map(
  (name) => `test/system/${name}.test.ts`,
);

/** The tests of phones once more on other servers, or a word on why not. */
const columns = COLUMNS.map(({ name, env, missing }) =>
  missing.length === 0
    ? {
        test: {
          ...SYSTEM,
          ...ONE_AT_A_TIME,
          ...LAST,
          name,
          include: phoneTests(),
          env: { ...DEFAULT_HOSTS, ...env },
        },
      }
    : {
        test: {
          ...LAST,
          name,
          include: ['test/support/missing-column.test.ts'],
          env: { PATCHBAY_TEST_COLUMN: name, PATCHBAY_TEST_MISSING: missing.join(' and ') },
        },
      },
);

export default defineConfig({
  test: {
    // The files of a process share the modules that they load, which saves half of the time of the unit tests.
    poolOptions: { forks: { minForks: FILES_AT_A_TIME, maxForks: FILES_AT_A_TIME, isolate: false } },
    sequence: { sequencer: FileOrder },
    projects: [
      {
        test: {
          ...UNIT,
          ...PATIENT,
          name: 'unit',
          include: ['src/**/*.test.ts', 'test/unit/**/*.test.ts'],
          globalSetup: ['test/support/programs.ts'],
          // Of src/shared.
          alias: {
            './places.js': fileURLToPath(new URL('test/support/built-places.ts', import.meta.url)),
          },
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      { test: { ...SYSTEM, ...TOGETHER, name: 'system', include: systemTests('together') } },
      {
        test: { ...SYSTEM, ...ONE_AT_A_TIME, ...ALONE, name: 'system, alone', include: systemTests('alone') },
      },
      { test: { ...SYSTEM, ...LAST, name: 'system, media hosts', include: ON_HOSTS, env: DEFAULT_HOSTS } },
      ...columns,
    ],
  },
});
