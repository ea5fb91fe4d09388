import { ESLint, Linter } from 'eslint';
import { expect, it } from 'vitest';

/** Patterns of this source that network text has made slow, with a relative of each. */
const SLOW = [
  String.raw`/^([A-Za-z]+)\s+(.*?)\s+SIP\/\d+\.\d+\s*$/i`,
  String.raw`/^\s*(?:"((?:[^"\\]|\\.)*)"|([^<",]*))?\s*<([^>]*)>/`,
  String.raw`/.*;\s*boundary="?(.*?)"?$/`,
  String.raw`/eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/g`,
  String.raw`/<([^>]*)>/`,
  String.raw`/\S+$/`,
  'new RegExp(`^${process.argv[2]}$`)',
];

it('lint finds patterns that take time by the square of their text, or worse', async () => {
  const config = (await new ESLint().calculateConfigForFile(
    'src/sip-server/message/parse.ts',
  )) as Linter.Config;
  const { 'redos/no-vulnerable': slow, 'no-restricted-syntax': unseen } = config.rules ?? {};
  const rules = { 'redos/no-vulnerable': slow, 'no-restricted-syntax': unseen } as Linter.RulesRecord;
  const found = (code: string): number =>
    new Linter().verify(code, { plugins: config.plugins ?? {}, rules }).length;
  expect(SLOW.filter((pattern) => found(`export const x = ${pattern};`) === 0)).toEqual([]);
  expect(found(String.raw`export const x = /^SIP\/(\d{1,9})\.(\d{1,9})$/i;`)).toBe(0);
}, 60_000);
