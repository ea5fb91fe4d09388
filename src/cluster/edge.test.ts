import { expect, it, vi } from 'vitest';
import { createCore, MemoryStore, PatchbayError } from '../core/index.js';
import { ACCOUNT, coreForTests, FakeDevice, newParticipant, TOKEN_SECRET } from '../core/testing/index.js';
import { silentLog } from '../shared/testing/index.js';
import { connectLocally, Desk, Edge } from './index.js';

function scene() {
  const { core, clock } = coreForTests();
  const edge = new Edge({
    edgeId: 'e',
    process: 'p',
    recognizes: (token) => core.recognizes(token),
    clock,
    log: silentLog,
  });
  const desk = new Desk({ core, epoch: 1, clock, log: silentLog });
  return { core, clock, edge, desk };
}

it('connects a device at once when the leader is in the same process', async () => {
  const { core, edge, desk } = scene();
  edge.registerKind('phone');
  connectLocally(edge, desk);
  expect(core.counts().devices).toEqual({ phone: 0 });
  const id = newParticipant(core);
  const participant = (await edge.participantOf(id))!;
  const device = new FakeDevice('d', 'phone', { hold: true });
  const connection = edge.connect(participant, device, { replace: false });
  expect(core.connectedDevice(id)).toEqual(device.info);
  await connection.admitted;
  connection.publish([{ streamId: 's', mediaTypes: ['audio'] }]);
  connection.hold(true);
  expect(core.device(ACCOUNT, id)).toMatchObject({ held: true, streams: [{ streamId: 's' }] });
  expect(desk.edges()).toEqual([{ id: 'e', isConnected: true, devices: 1, closing: 0, isLost: false }]);
  connection.end('left');
  expect(core.connectedDevice(id)).toBeUndefined();
  // All is acknowledged at once: nothing is kept.
  expect([edge.devices, edge.history.waiting]).toEqual([0, 0]);
});

it('tells why the core does not connect a device, which is not closed for that', async () => {
  const { core, edge, desk } = scene();
  connectLocally(edge, desk);
  const id = newParticipant(core);
  const participant = core.participant(ACCOUNT, id);
  await edge.connect(participant, new FakeDevice('first'), { replace: false }).admitted;
  const second = new FakeDevice('second');
  await expect(edge.connect(participant, second, { replace: false }).admitted).rejects.toMatchObject({
    code: 'PATCHBAY_ALREADY_CONNECTED',
  });
  await expect(edge.connect(participant, second, { replace: 'gone' }).admitted).rejects.toMatchObject({
    code: 'PATCHBAY_DEVICE_NOT_FOUND',
  });
  expect(second.closed).toEqual([]);
  await edge.connect(participant, second, { replace: 'first' }).admitted;
  expect(core.connectedDevice(id)?.id).toBe('second');
});

it('passes commands to the device, and its answers back', async () => {
  const { core, edge, desk } = scene();
  connectLocally(edge, desk);
  const id = newParticipant(core);
  const sendDtmf = vi.fn().mockResolvedValueOnce(undefined).mockRejectedValueOnce(new Error('a secret'));
  const headers: object[] = [];
  const device = new FakeDevice('d', 'phone', { sendDtmf, setByeHeaders: (set) => headers.push(set) });
  await edge.connect(core.participant(ACCOUNT, id), device, { replace: false }).admitted;
  await core.sendDtmf(ACCOUNT, id, { digits: '12' });
  expect(sendDtmf).toHaveBeenCalledWith({ digits: '12' });
  await expect(core.sendDtmf(ACCOUNT, id, { digits: '3' })).rejects.toMatchObject({
    code: 'PATCHBAY_INTERNAL',
    message: 'The gateway failed; its log says why.',
  });
  core.setByeHeaders(ACCOUNT, id, { 'X-A': 'b' });
  expect(headers).toEqual([{ 'X-A': 'b' }]);
  const mute = new FakeDevice('mute');
  await edge.connect(core.participant(ACCOUNT, id), mute, { replace: true }).admitted;
  await expect(core.sendDtmf(ACCOUNT, id, { digits: '1' })).rejects.toMatchObject({
    code: 'PATCHBAY_DEVICE_CANNOT',
  });
});

it('answers that there is no leader while there is none, and goes on with the next one', async () => {
  const { core, clock, edge, desk } = scene();
  await expect(edge.authenticate('token')).rejects.toMatchObject({ code: 'PATCHBAY_NO_LEADER' });
  const { participant, token } = core.createParticipant(ACCOUNT, {});
  const device = new FakeDevice('d');
  const connection = edge.connect(participant, device, { replace: true });
  connection.dtmf('5', 100);
  expect(edge.history).toEqual({ waiting: 2, dropped: 0 });
  const digits: string[] = [];
  core.on('dtmf', ({ digit }) => digits.push(digit));
  connectLocally(edge, desk);
  await connection.admitted;
  expect(digits).toEqual(['5']);
  expect((await edge.authenticate(token)).id).toBe(participant.id);
  // A leader of before that does not know that it is deposed.
  const old = createCore({ tokenSecret: TOKEN_SECRET, store: new MemoryStore(), clock, log: silentLog });
  connectLocally(edge, new Desk({ core: old, epoch: 0, clock, log: silentLog }));
  expect(edge.isConnected).toBe(false);
  await expect(edge.authenticate(token)).rejects.toBeInstanceOf(PatchbayError);
  expect(device.closed).toEqual([]);
});
