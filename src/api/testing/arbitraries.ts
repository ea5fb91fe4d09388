import fc from 'fast-check';

/** The part of JSON Schema that the OpenAPI document uses. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}

/** Makes values that a schema allows. `ids` makes the values of properties with these names. */
export class Arbitraries {
  readonly #components: Readonly<Record<string, Schema>>;
  readonly #ids: (name: string) => fc.Arbitrary<string>;

  constructor(components: Readonly<Record<string, Schema>>, ids: (name: string) => fc.Arbitrary<string>) {
    this.#components = components;
    this.#ids = ids;
  }

  /** @param name the property or parameter that the value is for */
  of(schema: Schema, name = ''): fc.Arbitrary<unknown> {
    if (schema.$ref !== undefined) return this.of(this.#components[schema.$ref.split('/').pop()!]!, name);
    if (schema.enum) return fc.constantFrom(...schema.enum);
    if (schema.type === 'object') return this.#object(schema);
    if (schema.type === 'array') return this.#array(schema, name);
    if (schema.type === 'boolean') return fc.boolean();
    if (schema.type === 'integer') return fc.integer({ min: schema.minimum!, max: schema.maximum! });
    if (schema.type === 'number') {
      return fc.double({ min: schema.minimum!, max: schema.maximum!, noNaN: true });
    }
    if (schema.type === 'string') return name.endsWith('Id') ? this.#ids(name) : text(schema);
    throw new Error(`The document has a schema that nothing is made for: ${JSON.stringify(schema)}`);
  }

  #object({ properties = {}, required = [] }: Schema): fc.Arbitrary<unknown> {
    const values = Object.entries(properties).map(([name, schema]) => [name, this.of(schema, name)]);
    return fc.record(Object.fromEntries(values) as Record<string, fc.Arbitrary<unknown>>, {
      requiredKeys: [...required],
    });
  }

  #array({ items, maxItems, uniqueItems }: Schema, name: string): fc.Arbitrary<unknown> {
    const item = this.of(items!, name);
    const maxLength = Math.min(maxItems ?? 5, 5);
    return uniqueItems ? fc.uniqueArray(item, { maxLength }) : fc.array(item, { maxLength });
  }
}

function text({ format, minLength = 0, maxLength = 20, pattern }: Schema): fc.Arbitrary<string> {
  if (pattern !== undefined && minLength > 0) return fc.stringMatching(new RegExp(pattern));
  switch (format) {
    case 'web-url':
      return fc.webUrl({ validSchemes: ['http', 'https'] });
    case 'iso-8601':
      return fc
        .date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
        .map((date) => date.toISOString());
    case 'uuid':
      return fc.uuid();
    case undefined:
      return fc
        .string({ unit: 'binary', maxLength: Math.min(maxLength, 60) })
        .filter((string) => !string.includes('\0'));
    default:
      throw new Error(`The document has a format that nothing is made for: ${format}`);
  }
}

/** The same JSON with one value in it replaced by any other. */
export function spoilt(json: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(json, fc.jsonValue(), fc.nat(20)).map(([value, other, where]) => {
    const paths = pathsOf(value);
    return replaced(value, paths[where % paths.length]!, other);
  });
}

type Path = readonly string[];

function pathsOf(value: unknown): Path[] {
  if (typeof value !== 'object' || value === null) return [[]];
  return [
    [],
    ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner).map((path) => [key, ...path])),
  ];
}

function replaced(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = replaced(copy[key], rest, other);
  return copy;
}
