import { findSrtpSuite, readInlineKey, writeInlineKey } from '../../srtp/index.js';
import type { MasterKey, SrtpSuite } from '../../srtp/index.js';
import { MediaError } from '../../types.js';
import type { RemoteCrypto, RemoteSection } from './remote-description.js';

/** SRTP as agreed by SDES (RFC 4568). */
export interface SessionCrypto {
  /** Tag of the chosen `a=crypto` line; the answer repeats it. */
  readonly tag: number;
  readonly suite: SrtpSuite;
  readonly remoteKey: MasterKey;
}

/**
 * Session parameters that may be ignored: a window size hint changes nothing for us (RFC 4568 section 6.3.7).
 */
const HARMLESS = /^WSH=\d+$/;

/** Chooses the first `a=crypto` line that is fully supported: their order is the phone's preference. */
export function chooseCrypto(section: RemoteSection): SessionCrypto | undefined {
  for (const line of section.crypto) {
    const chosen = readCrypto(line);
    if (chosen) return chosen;
  }
  return undefined;
}

/** `a=crypto` line with a key of ours. */
export function cryptoLine(tag: number, suite: SrtpSuite, key: MasterKey): string {
  return `a=crypto:${tag} ${suite.name} ${writeInlineKey(key)}`;
}

/**
 * An answer must take the crypto line that was offered (RFC 4568 section 5.1.2).
 * @throws MediaError BAD_SDP
 */
export function requireOffered(
  offered: SessionCrypto | undefined,
  answered: SessionCrypto | undefined,
): void {
  if (offered?.tag === answered?.tag && offered?.suite === answered?.suite) return;
  throw new MediaError('BAD_SDP', 'The answer has a crypto line that was not offered.');
}

function readCrypto(line: RemoteCrypto): SessionCrypto | undefined {
  const suite = findSrtpSuite(line.suite);
  if (!suite) return undefined;
  const parameters = (line.sessionParams ?? '').split(/\s+/).filter((parameter) => parameter !== '');
  if (!parameters.every((parameter) => HARMLESS.test(parameter))) return undefined;
  const remoteKey = readInlineKey(suite, line.keyParams);
  return remoteKey && { tag: line.tag, suite, remoteKey };
}
