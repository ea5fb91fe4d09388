import { readFileSync } from 'node:fs';

/** The code blocks of one language on a page of the documents, as its readers would copy them. */
function codeBlocks(page: string, language: string): readonly string[] {
  const text = readFileSync(page, 'utf8');
  // Those in a list are indented.
  return [...text.matchAll(/^( *)```(\w+)\n([^]*?)^ *```$/gm)].flatMap(([, indent, found, block]) =>
    found === language ? [block!.replaceAll(new RegExp(`^${indent!}`, 'gm'), '')] : [],
  );
}

/**
 * The one code block of a language that has a text, with replacements for what differs on the machine of a test.
 * @throws Error when there is no such block, or when it lacks something to be replaced
 */
export function codeBlock(
  page: string,
  language: string,
  having: string,
  replacements: Readonly<Record<string, string>>,
): string {
  const [block, ...others] = codeBlocks(page, language).filter((text) => text.includes(having));
  if (block === undefined || others.length > 0) {
    throw new Error(`${page} has no single block of ${language} with ${having}`);
  }
  return Object.entries(replacements).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the block of ${language} on ${page} lacks ${from}`);
    return text.replaceAll(from, to);
  }, block);
}
