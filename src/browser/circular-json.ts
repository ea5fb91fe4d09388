/**
 * Clients before 0.12 write and read messages with circular-json, which gives `~` a meaning of its own: the
 * first `~` of a string is written `\x7e`, and a string that begins with `~` is read as a reference.
 */
const WRITTEN_TILDE = '\\x7e';

/** Whether the client of this SDK version reads and writes with circular-json. */
export function speaksCircularJson(sdkVersion: string): boolean {
  const match = /^0\.(\d+)\./.exec(sdkVersion);
  return match !== null && Number(match[1]) < 12;
}

/** Undoes what circular-json did to one string, as it does itself: the first of each. */
export function fromCircular(text: string): string {
  return text
    .replace(/(^|[^\\])\\x7e/, (_, before: string) => `${before}~`)
    .replace(`\\${WRITTEN_TILDE}`, () => WRITTEN_TILDE);
}

/** Writes one string as circular-json does. */
export function toCircular(text: string): string {
  return text.replace(WRITTEN_TILDE, () => `\\${WRITTEN_TILDE}`).replace('~', () => WRITTEN_TILDE);
}
