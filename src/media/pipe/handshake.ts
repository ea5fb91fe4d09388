import { hkdfSync, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Incoming } from './incoming.js';

/** What the first bytes of either end say: protocol and version. */
const MAGIC = Buffer.from('PBP1');
const NAME_LENGTH = 32;
const NONCE_LENGTH = 32;
const KEY_LENGTH = 32;

/** Keys of one connection: no two connections have the same, so that each may count its records from zero. */
export interface ConnectionKeys {
  readonly sending: Buffer;
  readonly receiving: Buffer;
}

/** The public name of a pipe, by which the listening end finds its key. */
export function pipeName(key: Buffer): string {
  return derive(key, Buffer.alloc(0), 'patchbay pipe: name').toString('base64');
}

/**
 * The connecting end: says which pipe it means. The keys depend on the pipe's key and on random bytes of both ends;
 * who has the pipe's key shows with the first record.
 * @throws Error by rejection when the connection ends, or the other end speaks something else
 */
export async function greet(socket: Socket, incoming: Incoming, key: Buffer): Promise<ConnectionKeys> {
  const ours = randomBytes(NONCE_LENGTH);
  socket.write(Buffer.concat([MAGIC, Buffer.from(pipeName(key), 'base64'), ours]));
  const [theirs] = split(await read(socket, incoming, MAGIC.length + NONCE_LENGTH), NONCE_LENGTH);
  const salt = Buffer.concat([ours, theirs!]);
  return { sending: derive(key, salt, CONNECTING), receiving: derive(key, salt, LISTENING) };
}

/**
 * The listening end.
 * @param keyOf the key of a pipe that is expected
 * @throws Error by rejection when the connection ends, or the other end speaks something else or names no such pipe
 */
export async function welcome(
  socket: Socket,
  incoming: Incoming,
  keyOf: (name: string) => Buffer | undefined,
): Promise<{ readonly name: string; readonly keys: ConnectionKeys }> {
  const greeting = await read(socket, incoming, MAGIC.length + NAME_LENGTH + NONCE_LENGTH);
  const [name, theirs] = split(greeting, NAME_LENGTH, NONCE_LENGTH);
  const text = name!.toString('base64');
  const key = keyOf(text);
  if (!key) throw new Error('No such pipe is expected.');
  const ours = randomBytes(NONCE_LENGTH);
  socket.write(Buffer.concat([MAGIC, ours]));
  const salt = Buffer.concat([theirs!, ours]);
  return {
    name: text,
    keys: { sending: derive(key, salt, LISTENING), receiving: derive(key, salt, CONNECTING) },
  };
}

const CONNECTING = 'patchbay pipe: from the connecting end';
const LISTENING = 'patchbay pipe: from the listening end';

const derive = (key: Buffer, salt: Buffer, info: string): Buffer =>
  Buffer.from(hkdfSync('sha256', key, salt, info, KEY_LENGTH));

/** The parts behind the magic. @throws Error when that is another */
function split(bytes: Buffer, ...lengths: number[]): Buffer[] {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC))
    throw new Error('The other end speaks no pipe protocol.');
  let at = MAGIC.length;
  return lengths.map((length) => bytes.subarray(at, (at += length)));
}

/** Reads exactly so many bytes. @throws Error by rejection when the connection ends before */
function read(socket: Socket, incoming: Incoming, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => reject(socket.errored ?? new Error('The connection ended.'));
    socket.once('close', onClose);
    void incoming.read(length).then((bytes) => {
      socket.off('close', onClose);
      resolve(bytes);
    });
  });
}
