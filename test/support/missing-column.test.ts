import { describe, it } from 'vitest';

/** Stands for all tests of a column whose servers are not there, so that the run names what it left out. */
describe(`phones on ${process.env['PATCHBAY_TEST_COLUMN'] ?? ''}`, () => {
  it.skip(`needs ${process.env['PATCHBAY_TEST_MISSING'] ?? ''}`);
});
