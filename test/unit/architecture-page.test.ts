import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const decisions = readdirSync('docs/decisions').map((file) => join('docs/decisions', file));
const page = ['docs/architecture.md', ...decisions]
  .map((file) => readFileSync(file, 'utf8').replace(/```[^]*?```/g, ''))
  .join('\n');
const named = [...new Set([...page.matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!))];

const files = named.filter((name) => /^[\w./-]+(?:\.ts|\/)$/.test(name));
/** `PhoneEndpoint`, `PhoneEndpoint.describe`, `setUpCall`: all that begins with a capital, or has one in it. */
const symbols = named.filter((name) => /^(?:[A-Z][a-z]\w*(?:\.\w+)?|[a-z]+[A-Z]\w*)$/.test(name));

/** `PhoneEndpoint.describe` (`media/phone/phone-endpoint.ts`), `PortRange` in `media/phone/ports.ts`. */
const places = [...page.matchAll(/`(\w+)(?:\.(\w+))?`\s(?:\(|in )`([\w./-]+\.ts)`/g)].map(
  ([, owner, member = '', file]) => [owner!, member, file!] as const,
);

const sources = new Map(
  readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => [file, readFileSync(join('src', file), 'utf8')] as const),
);

/** The sources that declare a class, interface or type of this name. */
const declaring = (name: string): string[] =>
  [...sources.values()].filter((text) => new RegExp(`(?:class|interface|type) ${name}\\b`).test(text));

const has = (text: string, word: string): boolean => new RegExp(`\\b${word}\\b`).test(text);

describe('the pages for maintainers', () => {
  it.each(files)('names %s, which is there', (file) => {
    expect(existsSync(join('src', file)) || existsSync(file)).toBe(true);
  });

  it.each(symbols)('names %s, which is in the code', (symbol) => {
    const [owner, member] = symbol.split('.') as [string, string | undefined];
    if (member === undefined) expect([...sources.values()].some((text) => has(text, owner))).toBe(true);
    else expect(declaring(owner).some((text) => has(text, member))).toBe(true);
  });

  it.each(places)('names %s.%s in %s, which has it', (owner, member, file) => {
    expect(has(sources.get(file) ?? '', owner)).toBe(true);
    expect(has(sources.get(file) ?? '', member)).toBe(true);
  });

  it('names many of all', () => {
    expect(files.length).toBeGreaterThan(60);
    expect(symbols.length).toBeGreaterThan(80);
    expect(places.length).toBeGreaterThan(50);
  });
});
