import { type Static, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';

/** A schema that stands in the OpenAPI document under a name of its own. */
export function component<T extends TSchema>($id: string, schema: T): T {
  return { ...schema, $id };
}

/** A reference to a {@link component}. */
export function ref<T extends TSchema>(to: T, description?: string): TUnsafe<Static<T>> {
  return Type.Unsafe<Static<T>>({ $ref: `${to.$id ?? ''}#`, ...(description ? { description } : {}) });
}

/** A property of an answer that is left out, never null, when there is nothing to say. */
export function absentable<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Unsafe<Static<T> | undefined>(schema));
}

/** A list of an answer. */
export function listOf<T extends TSchema>(schema: T, options: { readonly description?: string } = {}) {
  return Type.Unsafe<readonly Static<T>[]>(Type.Array(schema, options));
}

/** A request body, which may be left out as a whole. */
export function optionalBody<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T> | undefined>(ref(schema));
}

/** One of some words: written in any case in a request, in upper case in an answer. */
export function word<T extends string>(words: readonly T[], description: string) {
  return Type.Unsafe<T>({ type: 'string', transform: ['toEnumCase'], enum: [...words], description });
}

/** Text that survives every store and log: no NUL character, no half of a surrogate pair. */
export function text(maxLength: number, description: string) {
  return Type.String({ maxLength, pattern: '^[^\\u0000\\p{Cs}]*$', description });
}

/** A moment in an answer. */
export const moment = (description: string) =>
  Type.String({ format: 'date-time', description, examples: ['2026-01-31T12:00:00.000Z'] });
