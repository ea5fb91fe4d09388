/** A verb of BXML, or an element in one. */
export interface Verb {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Its text, without that of elements in it. */
  readonly text: string;
  readonly children: readonly Verb[];
}

/** What Bandwidth accepts. */
export const MAX_BXML = 64 * 1024;
const MAX_VERBS = 500;
const ATTRIBUTES = ':@';
const TEXT = '#text';

/** The document is not BXML; the message says why, for people. */
export class BxmlError extends Error {
  override readonly name = 'BxmlError';
}

/** The libraries are loaded with the first trial: they would make every start of the gateway a tenth of a second longer. */
async function loadParser(): Promise<(document: string) => unknown> {
  const [{ XMLParser }, { SyntaxValidator }] = await Promise.all([
    import('fast-xml-parser'),
    import('fast-xml-validator'),
  ]);
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: true,
    ignoreDeclaration: true,
    ignorePiTags: true,
    htmlEntities: true,
  });
  return (document) => {
    // The parser itself takes what is not well-formed.
    SyntaxValidator.validate(document);
    return parser.parse(document) as unknown;
  };
}

let parser: ReturnType<typeof loadParser> | undefined;

type Parsed = Readonly<Record<string, unknown>>;

/**
 * The verbs of a BXML document: `<Response>` or `<Bxml>` with verbs in it.
 * @throws BxmlError by rejection
 */
export async function readBxml(document: string): Promise<readonly Verb[]> {
  if (Buffer.byteLength(document) > MAX_BXML) throw new BxmlError('BXML may have 64 KB.');
  if (document.trim() === '') throw new BxmlError('There is no BXML: the response is empty.');
  // Entities of a document's own, and external ones, are never needed.
  if (/<!DOCTYPE|<!ENTITY/i.test(document)) throw new BxmlError('A BXML document has no DOCTYPE.');
  const roots = elementsOf(await parse(document));
  const [root] = roots;
  if (roots.length !== 1 || !root || !['Response', 'Bxml'].includes(root.name)) {
    throw new BxmlError('BXML is one <Response> or <Bxml> element with verbs in it.');
  }
  if (root.children.length > MAX_VERBS) throw new BxmlError(`The trial takes ${MAX_VERBS} verbs at once.`);
  return root.children;
}

async function parse(document: string): Promise<unknown> {
  parser ??= loadParser();
  const read = await parser;
  try {
    return read(document);
  } catch (error) {
    throw new BxmlError(`This is not XML: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function elementsOf(nodes: unknown): Verb[] {
  if (!Array.isArray(nodes)) return [];
  return (nodes as Parsed[]).flatMap((node) => {
    const name = Object.keys(node).find((key) => key !== ATTRIBUTES && key !== TEXT);
    if (name === undefined) return [];
    const children = node[name];
    return {
      name,
      attributes: (node[ATTRIBUTES] ?? {}) as Record<string, string>,
      text: textOf(children),
      children: elementsOf(children),
    };
  });
}

const textOf = (nodes: unknown): string =>
  Array.isArray(nodes)
    ? (nodes as Parsed[])
        .map((node) => (TEXT in node ? String(node[TEXT]) : ''))
        .join('')
        .trim()
    : '';
