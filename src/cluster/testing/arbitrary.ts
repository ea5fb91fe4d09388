import { Kind, OptionalKind, type TSchema } from '@sinclair/typebox';
import fc from 'fast-check';

interface SchemaParts extends TSchema {
  readonly anyOf?: readonly TSchema[];
  readonly const?: unknown;
  readonly items?: TSchema | readonly TSchema[];
  readonly maximum?: number;
  readonly minimum?: number;
  readonly patternProperties?: Readonly<Record<string, TSchema>>;
  readonly properties?: Readonly<Record<string, TSchema>>;
}

/** What JSON writes in ways of its own, and a few that it does not. */
const CHARACTER = fc.constantFrom(
  'a',
  'Z',
  '7',
  ' ',
  '"',
  '\\',
  '/',
  '\n',
  '\u0000',
  'é',
  '\u2028',
  '\ud800',
  '😀',
);

/** Values of a schema, of those kinds that messages are made of. */
export function arbitraryOf(schema: TSchema): fc.Arbitrary<unknown> {
  const parts = schema as SchemaParts;
  switch (schema[Kind]) {
    case 'String':
      return fc.string({ unit: CHARACTER, maxLength: 20 });
    case 'Boolean':
      return fc.boolean();
    case 'Null':
      return fc.constant(null);
    case 'Number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'Integer':
      return fc.integer({ min: parts.minimum ?? -1_000, max: parts.maximum ?? 1_000_000 });
    case 'Literal':
      return fc.constant(parts.const);
    case 'Union':
      return fc.oneof(...(parts.anyOf ?? []).map(arbitraryOf));
    case 'Array':
      return fc.array(arbitraryOf(parts.items as TSchema), { maxLength: 4 });
    case 'Tuple':
      return fc.tuple(...(parts.items as readonly TSchema[]).map(arbitraryOf));
    case 'Record':
      return fc.dictionary(fc.string(), arbitraryOf(Object.values(parts.patternProperties ?? {})[0]!));
    case 'Object': {
      const properties = Object.entries(parts.properties ?? {});
      const required = properties.flatMap(([name, property]) => (OptionalKind in property ? [] : [name]));
      return fc.record(
        Object.fromEntries(properties.map(([name, property]) => [name, arbitraryOf(property)])),
        { requiredKeys: required },
      );
    }
    default:
      throw new Error(`No values are known of the schema ${schema[Kind]}.`);
  }
}

/** The same JSON with one value in it replaced, or left out; what may come of a mistake or of ill will. */
export function mutated(value: unknown, at: number, by: unknown): unknown {
  let left = at;
  const visit = (here: unknown): unknown => {
    left -= 1;
    if (left < 0 && left > Number.NEGATIVE_INFINITY) {
      left = Number.NEGATIVE_INFINITY;
      return by;
    }
    if (Array.isArray(here)) return here.map(visit);
    if (typeof here !== 'object' || here === null) return here;
    return Object.fromEntries(Object.entries(here).map(([name, part]) => [name, visit(part)]));
  };
  return visit(value);
}
