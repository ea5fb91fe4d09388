import { type TSchema, Type } from '@sinclair/typebox';
import { absentable, component, listOf, ref, text } from './shapes.js';

/** How to continue a listing, and how much of it at a time. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: 'Items on a page, at most: a page also ends at 1 MB.',
    }),
  ),
  cursor: Type.Optional(Type.String({ format: 'uuid', description: 'The `next` of the page before.' })),
};

/** Query of a listing that can be filtered by tag. */
export const ListQuerySchema = Type.Object({
  tag: Type.Optional(text(50, 'Only those with exactly this tag.')),
  ...pageQuery,
});

/** One page of a listing. */
export function pageOf<T extends TSchema>($id: string, item: T) {
  return component(
    $id,
    Type.Object({
      items: listOf(ref(item)),
      next: absentable(Type.String({ description: 'Continues the listing; absent on the last page.' })),
    }),
  );
}
