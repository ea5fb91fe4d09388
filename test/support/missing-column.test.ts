import { describe, it } from 'vitest';

/** Stands for all tests with servers that are not available, so that the run names what is missing. */
describe(`phones on ${process.env['PATCHBAY_TEST_COLUMN'] ?? ''}`, () => {
  it.skip(`needs ${process.env['PATCHBAY_TEST_MISSING'] ?? ''}`);
});
