import { readFileSync } from 'node:fs';

/** One message of RFC 4475. */
interface TortureMessage {
  /** Its name there, such as `wsinv`. */
  readonly name: string;
  readonly section: string;
  readonly bytes: Buffer;
}

/** Reads all messages, their notation (RFC 4475 section 2) resolved. */
export function tortureMessages(): TortureMessage[] {
  const text = readFileSync(new URL('../fixtures/rfc4475.txt', import.meta.url), 'utf8');
  return text
    .split(/^%% /m)
    .slice(1)
    .map((part) => {
      const newline = part.indexOf('\n');
      const [name = '', section = ''] = part.slice(0, newline).split(' ');
      return { name, section, bytes: resolve(part.slice(newline + 1)) };
    });
}

/** One message by its name. */
export function torture(name: string): Buffer {
  const found = tortureMessages().find((message) => message.name === name);
  if (!found) throw new Error(`no message ${name}`);
  return found.bytes;
}

function resolve(notation: string): Buffer {
  const text = notation
    .replace(/<allOneLine>\n([\s\S]*?)\n<\/allOneLine>/g, (_all, lines: string) => lines.replaceAll('\n', ''))
    .replace(/<repeat count=(\d+)>(.*?)<\/repeat>/g, (_all, count: string, what: string) =>
      what.repeat(Number(count)),
    )
    .replaceAll('\n', '\r\n')
    // Done last, since the bytes may look like other notation.
    .replace(/<hex>([0-9A-F]*)<\/hex>/g, (_all, hex: string) => Buffer.from(hex, 'hex').toString('latin1'));
  return Buffer.from(text, 'latin1');
}
