import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import type { TSchema } from '@sinclair/typebox';
import type { FromEdge, FromLeader } from '../messages.js';
import { FROM_EDGE, FROM_LEADER, type Schemas } from './schemas.js';

/** What came is no message; the error says why, and nothing of what was in it. */
export class InvalidMessage extends Error {
  override readonly name = 'InvalidMessage';
}

/** Reads a message of the other end. @throws InvalidMessage */
export type Decode<Message> = (text: string) => Message;

export const decodeFromEdge = decoderOf<FromEdge>(FROM_EDGE);
export const decodeFromLeader = decoderOf<FromLeader>(FROM_LEADER);

function decoderOf<Message>(schemas: Schemas): Decode<Message> {
  /** Compiled at the first message of its type: a gateway alone needs none of them. */
  const checks = new Map<string, TypeCheck<TSchema>>();
  const checkOf = (type: unknown): TypeCheck<TSchema> => {
    if (typeof type !== 'string') throw new InvalidMessage('It has no type.');
    const known = checks.get(type);
    if (known) return known;
    const schema = Object.hasOwn(schemas, type) ? schemas[type] : undefined;
    if (!schema) throw new InvalidMessage('There is no such type of message.');
    const check = TypeCompiler.Compile(schema);
    checks.set(type, check);
    return check;
  };
  return (text) => {
    const value = parsed(text);
    if (typeof value !== 'object' || value === null) throw new InvalidMessage('It is not a JSON object.');
    const check = checkOf('type' in value ? value.type : undefined);
    if (check.Check(value)) return value as Message;
    const [error] = check.Errors(value);
    throw new InvalidMessage(`${error?.message ?? 'It is not valid'} at ${placeIn(error?.path ?? '/')}.`);
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidMessage('It is not JSON.');
  }
}

/** Names in records are the other end's; those of schemas are short words. */
function placeIn(path: string): string {
  const known = path.split('/').map((part) => (/^[a-zA-Z0-9]{0,24}$/.test(part) ? part : '...'));
  return known.slice(0, 8).join('/');
}
