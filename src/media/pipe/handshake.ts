import { createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Incoming } from './incoming.js';

/** What the first bytes of either end say: protocol and version. */
const MAGIC = Buffer.from('PBP2');
const NAME_LENGTH = 32;
/** Of an X25519 public key (RFC 7748). */
const PUBLIC_LENGTH = 32;
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
 * The connecting end: says which pipe it means, and a public key that was made for this connection, as the other end's
 * answer does. The connection's keys are derived (RFC 5869) from the pipe's key and the secret that the two agree on, and
 * another for each direction; who has the pipe's key shows with the first record. So a pipe's key may serve any number of
 * connections, one after the other or at once, also over the deaths of its ends: no two have the same keys, what was recorded
 * of one opens on no other, and whoever learns the pipe's key later opens none that was recorded.
 * @throws Error by rejection when the connection ends, or the other end speaks something else
 */
export async function greet(socket: Socket, incoming: Incoming, key: Buffer): Promise<ConnectionKeys> {
  const ours = new Ephemeral();
  socket.write(Buffer.concat([MAGIC, Buffer.from(pipeName(key), 'base64'), ours.public]));
  const [theirs] = split(await read(socket, incoming, MAGIC.length + PUBLIC_LENGTH), PUBLIC_LENGTH);
  const secret = Buffer.concat([key, ours.agreeWith(theirs!)]);
  const salt = Buffer.concat([ours.public, theirs!]);
  return { sending: derive(secret, salt, CONNECTING), receiving: derive(secret, salt, LISTENING) };
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
  const greeting = await read(socket, incoming, MAGIC.length + NAME_LENGTH + PUBLIC_LENGTH);
  const [name, theirs] = split(greeting, NAME_LENGTH, PUBLIC_LENGTH);
  const text = name!.toString('base64');
  const key = keyOf(text);
  // Before anything is computed for it.
  if (!key) throw new Error('No such pipe is expected.');
  const ours = new Ephemeral();
  const secret = Buffer.concat([key, ours.agreeWith(theirs!)]);
  socket.write(Buffer.concat([MAGIC, ours.public]));
  const salt = Buffer.concat([theirs!, ours.public]);
  return {
    name: text,
    keys: { sending: derive(secret, salt, LISTENING), receiving: derive(secret, salt, CONNECTING) },
  };
}

/** A pair of keys for one connection. */
class Ephemeral {
  readonly public: Buffer;
  readonly #private: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    this.public = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url');
    this.#private = privateKey;
  }

  /** @throws Error when theirs is a point that leaves no secret */
  agreeWith(theirs: Buffer): Buffer {
    const key = { kty: 'OKP', crv: 'X25519', x: theirs.toString('base64url') };
    return diffieHellman({
      privateKey: this.#private,
      publicKey: createPublicKey({ key, format: 'jwk' }),
    });
  }
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
