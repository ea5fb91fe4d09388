import { afterAll, beforeAll, expect, it } from 'vitest';
import { Bystander, TWO_ACCOUNTS } from '../support/bystander.js';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { Caller, SDP, SipPeer } from '../support/sip-peer.js';

/** Strangers at the SIP port, and a tenant with a token, beside a talking phone of another account. */
let gateway: TestGateway;
let bystander: Bystander;
const peers: SipPeer[] = [];
beforeAll(async () => {
  gateway = await startGateway({ env: TWO_ACCOUNTS });
  bystander = await Bystander.start(gateway);
});
afterAll(async () => {
  for (const peer of peers) peer.close();
  await bystander.end();
  await gateway.stop();
});

async function stranger(transport: 'udp' | 'tcp' = 'udp'): Promise<Caller> {
  const peer = await SipPeer[transport]({ host: '127.0.0.1', port: gateway.sipPort });
  peers.push(peer);
  return new Caller(peer, transport.toUpperCase());
}

/** Hostile messages, each of which once blocked the process for 0.1 to 30 s. */
const HOSTILE: Record<string, (caller: Caller) => string> = {
  'a start line of spaces': () => `A${' '.repeat(5600)}\r\n\r\n`,
  'a start line of 31 kB of spaces': () => `A${' '.repeat(31_000)}\r\n\r\n`,
  boundaries: (caller) =>
    caller
      .request('INVITE', 1, { body: SDP })
      .replace('application/sdp', `multipart/${';boundary='.repeat(800)}`),
  'a multipart body of spaces': (caller) => {
    const body = `--b\r\nContent-Type:${' '.repeat(40_000)}\nx`;
    return caller.request('INVITE', 1, { body }).replace('application/sdp', 'multipart/mixed;boundary=b');
  },
  'From of 31 kB of spaces': (caller) =>
    caller.request('INVITE', 1, { body: SDP }).replace('From: "Caller"', `From: ${' '.repeat(31_000)}x`),
  'To of 31 kB of spaces': (caller) =>
    caller.request('INVITE', 1, { body: SDP }).replace(/^To: (.*)$/m, `To: $1;${' '.repeat(31_000)};`),
  Vias: (caller) =>
    caller.request('OPTIONS', 1).replace(/^(Via: .*)$/m, `$1${',SIP/2.0/UDP a'.repeat(2000)}`),
  'starts of tokens': (caller) =>
    caller.request('INVITE', 1, { body: SDP, headers: [`User-to-User: ${'eyJ'.repeat(10_000)}`] }),
};

it.each(Object.entries(HOSTILE))('%s do not disturb others', async (_name, text) => {
  const probe = await stranger();
  let sequence = 0;
  const probed = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      probe.peer.send(probe.request('OPTIONS', ++sequence));
      expect((await probe.peer.final()).status).toBe(200);
    }
  };
  const control = await bystander.during(probed);
  const attacked = await bystander.during(async () => {
    for (const transport of ['udp', 'tcp'] as const)
      for (let i = 0; i < 5; i++) {
        const caller = await stranger(transport);
        caller.peer.send(text(caller));
      }
    await probed();
  });
  // Each of them took more than this by itself; an idle gateway on a shared machine may take some of it too.
  expect(attacked.longestBusyMs).toBeLessThan(control.longestBusyMs + 250);
  await bystander.stillHears();
});

it('are sent no token, and the log has none, in any encoding', async () => {
  const rest = new Rest(gateway);
  const session = await rest.session();
  const { token } = await rest.member(session);
  const signature = token.split('.')[2]!.slice(0, 20);
  const spelled = token.replaceAll('.', '%2E').replace('eyJ', '%65yJ');
  const caller = await stranger();
  const invite = caller
    .request('INVITE', 1, { body: SDP, headers: [`Referred-By: <sip:${spelled}@h>`, `X-Info: ${spelled}`] })
    .replace('sip:gateway@127.0.0.1 SIP', `sip:${spelled}@127.0.0.1 SIP`)
    .replace(/^To: <sip:gateway/m, `To: <sip:${spelled}`);
  caller.peer.send(invite);
  const ok = await caller.peer.final();
  expect(ok.status).toBe(200);
  caller.learn(ok);
  caller.peer.send(caller.request('ACK', 1));
  caller.peer.send(caller.request('BYE', 2));
  await caller.peer.final();
  await gateway.waitForLog(({ msg }) => msg === 'The phone hung up.');
  const lines = JSON.stringify(gateway.log);
  expect(lines).toContain('INVITE sip:***@127.0.0.1');
  expect(lines).not.toContain(signature);
});
