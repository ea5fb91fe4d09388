/** An address in a header, as far as it can be read. */
export interface NamedAddress {
  /** Display name without quotes; empty when there is none. */
  readonly name: string;
  readonly uri: string;
}

/**
 * The first name-addr or addr-spec of a header (RFC 3261 section 20.10), without judging it. Each character is looked
 * at once or twice, however hostile the text: no pattern tries it in every way.
 */
export function firstAddress(value: string): NamedAddress {
  const text = value.trim();
  const { name, open } = text.startsWith('"') ? quotedName(text) : bareName(text);
  const close = open < 0 ? -1 : text.indexOf('>', open);
  if (close >= 0) return { name, uri: text.slice(open + 1, close).trim() };
  const end = text.search(/[;,]/);
  return { name: '', uri: (end < 0 ? text : text.slice(0, end)).trim() };
}

/** A display name, and where the `<` after it stands; -1 when there is none. */
interface NameBefore {
  readonly name: string;
  readonly open: number;
}

function quotedName(text: string): NameBefore {
  let name = '';
  let at = 1;
  for (; at < text.length && text[at] !== '"'; at += 1) {
    if (text[at] === '\\') at += 1;
    name += text[at] ?? '';
  }
  const rest = text.slice(at + 1).trimStart();
  return rest.startsWith('<')
    ? { name: name.trim(), open: text.length - rest.length }
    : { name: '', open: -1 };
}

/** A comma may stand in it, unless an address stands before the comma. */
function bareName(text: string): NameBefore {
  const open = text.search(/[<"]/);
  return text[open] === '<' && !/^(?:sips?|tel):/i.test(text)
    ? { name: text.slice(0, open).trim(), open }
    : { name: '', open: -1 };
}
