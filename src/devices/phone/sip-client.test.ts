import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type SipServer, startSipServer } from '../../sip-server/index.js';
import { TcpRelay } from '../../../test/support/tcp-relay.js';
import { until } from '../../../test/support/until.js';
import { SipClient } from './sip-client.js';
import { recordingLog } from './testing/fakes.js';

const SECRET = 'cymru';

describe('the connection to a SIP server', () => {
  let server: SipServer;
  let relay: TcpRelay;
  let client: SipClient | undefined;

  beforeEach(async () => {
    server = await startSipServer({
      listeners: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
      admin: { host: '127.0.0.1', port: 0, secret: SECRET },
      allow: [],
      publicIp: undefined,
      log: recordingLog().log,
    });
    relay = await TcpRelay.start(server.adminAddress.port);
  });

  afterEach(async () => {
    client?.stop();
    await relay.stop();
    await server.stop();
  });

  function clientOf(options: { secret?: string; graceMs?: number } = {}): {
    client: SipClient;
    lines: string[];
  } {
    const { log, lines } = recordingLog();
    const { secret = SECRET, ...rest } = options;
    client = new SipClient({ server: { host: '127.0.0.1', port: relay.port, secret }, log, ...rest });
    return { client, lines };
  }

  it('knows where the server receives calls', async () => {
    const { client } = clientOf();
    expect(client.sipAddress).toBeUndefined();
    expect(await client.connect(5000)).toBe(true);
    expect(client.connected).toBe(true);
    expect(client.sipAddress).toEqual({ host: '127.0.0.1', port: server.sipAddresses[0]!.port });
  });

  it('is made when the server comes up later', async () => {
    relay.down();
    const { client, lines } = clientOf();
    expect(await client.connect(100)).toBe(false);
    relay.up();
    await until('connected', () => client.connected, { withinMs: 5000 });
    expect(lines.filter((line) => line.includes('cannot reach the SIP server'))).toHaveLength(1);
  });

  it('is reachable from the first time on that it is up', async () => {
    relay.down();
    const { client } = clientOf();
    let isReachable: boolean | undefined;
    void client.reachable().then((answer) => (isReachable = answer));
    expect(await client.connect(100)).toBe(false);
    expect(isReachable).toBeUndefined();
    relay.up();
    await until('reachable', () => isReachable === true, { withinMs: 5000 });
  });

  it('logs once that the secret is wrong', async () => {
    const { client, lines } = clientOf({ secret: 'guess' });
    expect(await client.connect(700)).toBe(false);
    expect(client.connected).toBe(false);
    expect(lines.filter((line) => line.includes('The secret is wrong'))).toHaveLength(1);
    expect(lines.join('\n')).not.toContain('guess');
  });

  it('reconnects in time, and nothing is lost', async () => {
    const { client } = clientOf({ graceMs: 60_000 });
    await client.connect(5000);
    let lost = false;
    client.on('lost', () => (lost = true));
    const back = once(client, 'back');
    relay.down();
    await until('away', () => !client.connected, { withinMs: 5000 });
    relay.up();
    await back;
    expect(client.connected).toBe(true);
    expect(lost).toBe(false);
  });

  it('is lost once after the grace time, and reconnects nevertheless', async () => {
    const { client } = clientOf({ graceMs: 50 });
    await client.connect(5000);
    let losses = 0;
    client.on('lost', () => (losses += 1));
    const back = once(client, 'back');
    relay.down();
    await until('lost', () => losses > 0, { withinMs: 5000 });
    relay.up();
    await back;
    expect(losses).toBe(1);
  });
});
