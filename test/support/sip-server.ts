import { once } from 'node:events';
import Srf from 'drachtio-srf';
import { startSipServer, type SipServer, type SipServerOptions } from '../../src/sip-server/index.js';

const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A SIP server on free ports of 127.0.0.1, with the options of a test. */
export async function testServer(options: Partial<SipServerOptions> = {}): Promise<SipServer> {
  const listeners = [
    { transport: 'udp' as const, host: '127.0.0.1', port: 0 },
    { transport: 'tcp' as const, host: '127.0.0.1', port: 0 },
  ];
  const admin = { host: '127.0.0.1', port: 0, secret: 'cymru' };
  return startSipServer({ listeners, admin, allow: [], log: quiet, ...options });
}

/** The address of one of its listeners. */
export function addressOf(
  server: SipServer,
  transport: 'udp' | 'tcp' | 'tls',
): { host: string; port: number } {
  const address = server.sipAddresses.find((each) => each.transport === transport);
  if (!address) throw new Error(`no ${transport} listener`);
  return address;
}

/** An unmodified drachtio-srf, connected; `prepare` installs its handlers before it connects. */
export async function connectApp(
  server: SipServer,
  prepare: (srf: Srf) => void,
  tags: string[] = [],
): Promise<Srf> {
  const srf = new Srf(tags);
  prepare(srf);
  srf.on('error', () => undefined);
  const connected = once(srf, 'connect');
  void srf.connect({ host: '127.0.0.1', port: server.adminAddress.port, secret: 'cymru' });
  await connected;
  return srf;
}

/** A promise, and the function that resolves it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
