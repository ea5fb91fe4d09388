import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate } from '../../test/support/certificate.js';
import { Caller, isRequest, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf } from '../../test/support/sip-server.js';
import { useRestartStage } from './testing/restart-stage.js';

/** Of server and phone, who trust it. */
const { certFile, keyFile, remove } = makeCertificate();
const certificate = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
remove();
const stage = useRestartStage(certificate);

describe.each(['tcp', 'tls'] as const)('a dialog of a process that died, over %s', (transport) => {
  const connectPhone = async (): Promise<SipPeer> => {
    const address = addressOf(stage.server, transport);
    if (transport === 'tcp') return SipPeer.tcp(address);
    const socket = connectTls({ ...address, ca: certificate.cert });
    await once(socket, 'secureConnect');
    return SipPeer.stream(socket);
  };
  let phone: SipPeer;
  let contact: Server;
  let connected: Promise<Socket>;

  beforeEach(async () => {
    phone = await connectPhone();
    contact = transport === 'tcp' ? createServer() : createTlsServer(certificate);
    contact.listen(0, '127.0.0.1');
    await once(contact, 'listening');
    const event = transport === 'tcp' ? 'connection' : 'secureConnection';
    connected = once(contact, event).then(([socket]) => socket as Socket);
    stage.caller = new Caller(phone, transport.toUpperCase());
    stage.cleanups.push(
      () => phone.close(),
      () => contact.close(),
    );
    const { port } = contact.address() as { port: number };
    const request = stage.caller.request.bind(stage.caller);
    stage.caller.request = (...args) =>
      request(...args).replace(
        /^Contact:.*$/m,
        `Contact: <sip:caller@127.0.0.1:${port};transport=${transport}>`,
      );
  });

  it('goes on by the phone’s next connection', async () => {
    await stage.call();
    await stage.acknowledge();
    const { id } = stage.lastSaved();
    await stage.restart();
    expect(stage.server.hasLostConnection(id)).toBe(true);
    const again = await connectPhone();
    stage.cleanups.push(() => again.close());
    again.send(stage.caller.request('UPDATE', 2));
    expect((await again.final()).status).toBe(200);
    expect(stage.server.hasLostConnection(id)).toBe(false);
    void stage.send('BYE');
    const bye = await again.next(isRequest('BYE'));
    stage.reply(bye, '200 OK', [], again);
    await expect.poll(() => stage.server.counters().dialogs).toBe(0);
  });

  it('goes on by a connection of ours to where the phone wants to be reached', async () => {
    await stage.call();
    await stage.acknowledge();
    await stage.restart();
    const sent = stage.send('BYE');
    const ours = SipPeer.stream(await connected);
    stage.cleanups.push(() => ours.close());
    stage.reply(await ours.next(isRequest('BYE')), '200 OK', [], ours);
    expect((await sent).status).toBe(200);
  });

  it('takes the INVITE again that was not acknowledged', async () => {
    const invite = stage.caller.request('INVITE', 1, { body: SDP, branch: 'z9hG4bK-repeated' });
    phone.send(invite);
    await phone.final();
    await stage.restart();
    const again = await connectPhone();
    stage.cleanups.push(() => again.close());
    again.send(invite);
    stage.caller.learn(await again.final());
    again.send(stage.caller.request('ACK', 1));
    await expect.poll(() => stage.heardByApp.map(({ method }) => method)).toEqual(['ACK']);
    expect(stage.server.counters().dialogs).toBe(1);
  });
});
