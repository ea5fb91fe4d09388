import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { Caller, isRequest, SDP, SipPeer } from '../../test/support/sip-peer.js';
import { addressOf, deferred } from '../../test/support/sip-server.js';
import { useRestartStage } from './testing/restart-stage.js';

const stage = useRestartStage();

const numberOf = (header: readonly string[]): number => Number.parseInt(header[0]!, 10);

describe('a dialog of another server', () => {
  it('goes on by the own address, which the application tells the peer', async () => {
    await stage.call();
    await stage.acknowledge();
    const saved = stage.lastSaved();
    const { before, taken } = await stage.moveElsewhere();
    const { port } = addressOf(stage.server, 'udp');
    expect(taken).toMatchObject({ id: saved.id, localContact: `<sip:127.0.0.1:${port}>` });
    const offered = stage.send('INVITE', SDP);
    const invite = await stage.peer.next(isRequest('INVITE'));
    expect(invite.header('contact')).toEqual([taken!.localContact]);
    expect(invite.header('via')[0]).toContain(`:${port}`);
    expect(invite.header('to')[0]).toContain(`;tag=${stage.caller.fromTag}`);
    expect(numberOf(invite.header('cseq'))).toBeGreaterThan(saved.localSequence);
    stage.reply(invite, '200 OK');
    expect((await offered).status).toBe(200);
    await stage.peer.next(isRequest('ACK'));
    stage.peer.send(stage.caller.request('BYE', 2));
    expect((await stage.peer.final()).status).toBe(200);
    expect(stage.heardByApp.map(({ method }) => method)).toEqual(['BYE']);
    expect(before.counters()).toMatchObject({ dialogs: 1, requestsOut: 0 });
  });

  it('is forgotten by the server before without a word', async () => {
    await stage.call();
    await stage.acknowledge();
    const { id } = stage.lastSaved();
    const { before } = await stage.moveElsewhere();
    const sent = before.counters().requestsOut;
    before.giveAway(id);
    before.giveAway(id);
    expect(before.savedDialog(id)).toBeUndefined();
    expect(before.counters()).toMatchObject({ dialogs: 0, requestsOut: sent });
  });

  it('is not taken twice, nor what is no dialog', async () => {
    await stage.call();
    await stage.acknowledge();
    const saved = stage.lastSaved();
    await stage.moveElsewhere();
    expect(stage.server.takeOver(saved)).toBeUndefined();
    expect(stage.server.takeOver({ ...saved, id: 'another' })).toBeUndefined();
    expect(stage.server.takeOver({ ...saved, callId: 5 })).toBeUndefined();
    // There is no listener for the peer's IP version.
    const far = { ...saved, id: 'far', callId: 'far', remote: { host: '::1', port: 5060 } };
    expect(stage.server.takeOver(far)).toBeUndefined();
    expect(stage.server.counters().dialogs).toBe(1);
  });

  it('goes on over a connection of our own where the peer had one to the other server', async () => {
    const peer = await SipPeer.tcp(addressOf(stage.server, 'tcp'));
    stage.cleanups.push(() => peer.close());
    stage.caller = new Caller(peer, 'TCP');
    await stage.call();
    await stage.acknowledge();
    // Its Contact is where it can be reached.
    const connected = deferred<SipPeer>();
    const listener = createServer((socket) => connected.resolve(SipPeer.stream(socket)));
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    stage.cleanups.push(() => listener.close());
    const { port } = listener.address() as AddressInfo;
    peer.send(
      stage.caller
        .request('UPDATE', 2)
        .replace(/^Contact:.*$/m, `Contact: <sip:caller@127.0.0.1:${port};transport=tcp>`),
    );
    expect((await peer.final()).status).toBe(200);
    const { taken } = await stage.moveElsewhere();
    expect(taken?.localContact).toContain(`:${addressOf(stage.server, 'tcp').port};transport=tcp`);
    const asked = stage.send('INFO');
    const contact = await connected.promise;
    stage.cleanups.push(() => contact.close());
    stage.reply(await contact.next(isRequest('INFO')), '200 OK', [], contact);
    expect((await asked).status).toBe(200);
  });
});

describe('a server that may not act in its dialogs', () => {
  let mayAct = true;
  beforeEach(() => (mayAct = true));

  it('sends no request in them, and answers those of the peer', async () => {
    await stage.restart({ restored: [], mayAct: () => mayAct });
    await stage.call();
    await stage.acknowledge();
    mayAct = false;
    await expect(stage.send('INFO')).rejects.toThrow('another server may have the dialog');
    stage.peer.send(stage.caller.request('INFO', 2));
    expect((await stage.peer.final()).status).toBe(200);
    expect(stage.server.counters().requestsOut).toBe(0);
    mayAct = true;
    const asked = stage.send('INFO');
    stage.reply(await stage.peer.next(isRequest('INFO')), '200 OK');
    expect((await asked).status).toBe(200);
  });
});
