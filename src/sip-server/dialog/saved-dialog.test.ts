import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Essentials, isFault, readEssentials } from '../message/essentials.js';
import type { SipRequest, SipResponse } from '../message/message.js';
import { encodeMessage } from '../message/message.js';
import { parseMessage } from '../message/parse.js';
import { buildResponse } from '../message/respond.js';
import type { Flow } from '../transport/flow.js';
import { Dialog, SEQUENCE_JUMP } from './dialog.js';
import { readSavedDialog } from './saved-dialog.js';

type Step =
  | { readonly do: 'request'; readonly method: string }
  | { readonly do: 'admit'; readonly ahead: number }
  | { readonly do: 'refresh'; readonly target: string }
  | { readonly do: 'move'; readonly flow: Flow }
  | { readonly do: 'describe'; readonly sdp: string };

const flowTo = (transport: Flow['transport'], host: string, port: number): Flow => ({
  transport,
  reliable: transport !== 'udp',
  local: { host: '192.0.2.1', port: 5060 },
  remote: { host, port },
  open: true,
  send: () => undefined,
});
const flow = fc
  .tuple(
    fc.constantFrom('udp' as const, 'tcp' as const, 'tls' as const),
    fc.ipV4(),
    fc.integer({ min: 1, max: 65_535 }),
  )
  .map((way) => flowTo(...way));
/** One byte for each character, as messages hold them. */
const word = fc.stringMatching(/^[A-Za-z0-9\u00a1-\u00ff.-]{1,20}$/);
const token = fc.stringMatching(/^[A-Za-z0-9]{1,20}$/);
const uri = fc
  .tuple(token, fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
  .map(([user, host, port]) => `sip:${user}@${host}:${port}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('request' as const), method: fc.constantFrom('INVITE', 'UPDATE', 'INFO') }),
  fc.record({ do: fc.constant('admit' as const), ahead: fc.integer({ min: -3, max: 100 }) }),
  fc.record({ do: fc.constant('refresh' as const), target: uri }),
  fc.record({ do: fc.constant('move' as const), flow }),
  fc.record({ do: fc.constant('describe' as const), sdp: word.map((line) => `v=0\r\ns=${line}\r\n`) }),
);
const beginning = fc.record({
  callId: token,
  fromTag: token,
  toTag: token,
  name: word,
  cseq: fc.integer({ min: 0, max: 2 ** 31 - 1_000_000 }),
  routes: fc.array(uri, { maxLength: 4 }),
  target: uri,
  flow,
});
type Beginning = typeof beginning extends fc.Arbitrary<infer T> ? T : never;

function inviteOf({ callId, fromTag, name, cseq, routes, target }: Beginning): SipRequest {
  const lines = [
    'INVITE sip:gateway@192.0.2.1 SIP/2.0',
    'Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK-1',
    ...routes.map((route) => `Record-Route: <${route};lr>`),
    `From: "${name}" <sip:caller@192.0.2.9>;tag=${fromTag}`,
    'To: <sip:gateway@192.0.2.1>',
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} INVITE`,
    `Contact: <${target}>`,
    '',
    '',
  ];
  return parseMessage(Buffer.from(lines.join('\r\n'), 'latin1')) as SipRequest;
}

function answered(request: SipRequest, toTag: string, contact: string): SipResponse {
  return buildResponse(request, 200, { toTag, headers: [['Contact', `<${contact}>`]] });
}

function dialogOf(role: 'uas' | 'uac', start: Beginning): Dialog {
  const invite = inviteOf(start);
  const essentials = readEssentials(invite) as Essentials;
  expect(isFault(essentials)).toBe(false);
  const id = `${start.callId};from-tag=${start.fromTag}`;
  if (role === 'uas') {
    const dialog = Dialog.asServer(id, invite, essentials, start.toTag, start.flow, '<sip:192.0.2.1>');
    dialog.state = 'confirmed';
    return dialog;
  }
  const response = answered(invite, start.toTag, start.target);
  const dialog = Dialog.asClient(
    id,
    invite,
    response,
    { local: start.fromTag, remote: start.toTag },
    start.flow,
  );
  dialog.confirmAsClient(response);
  return dialog;
}

function take(dialog: Dialog, done: Step, cseq: number): void {
  switch (done.do) {
    case 'request':
      dialog.request(done.method);
      return;
    case 'admit':
      dialog.admits(Math.max(0, cseq + done.ahead));
      return;
    case 'refresh':
      dialog.refreshTarget(inviteOf({ ...BLANK, target: done.target }));
      return;
    case 'move':
      dialog.flow = done.flow;
      return;
    case 'describe':
      dialog.localSdp = Buffer.from(done.sdp, 'latin1');
  }
}

const BLANK: Beginning = {
  callId: 'c',
  fromTag: 'f',
  toTag: 't',
  name: 'n',
  cseq: 1,
  routes: [],
  target: 'sip:a@192.0.2.9:5060',
  flow: flowTo('udp', '192.0.2.9', 5060),
};
const REST = { tags: ['patchbay'], peerAllowsUpdate: true };

const afterRestart = (dialog: Dialog): Dialog => {
  const saved = readSavedDialog(JSON.parse(JSON.stringify({ ...dialog.save(), ...REST })));
  return Dialog.restore(saved!, flowTo(saved!.transport, saved!.remote.host, saved!.remote.port));
};
const textOf = (request: SipRequest): string => encodeMessage(request).toString('latin1');

describe('a saved dialog', () => {
  it('is restored as it was, whatever happened in it, and goes on with higher numbers', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('uas' as const, 'uac' as const),
        beginning,
        fc.array(step, { maxLength: 20 }),
        (role, start, steps) => {
          const dialog = dialogOf(role, start);
          for (const done of steps) take(dialog, done, start.cseq);
          const restored = afterRestart(dialog);
          const { localSequence, ...rest } = dialog.save();
          expect(restored.save()).toEqual({ ...rest, localSequence: localSequence + SEQUENCE_JUMP });
          expect([restored.key, restored.state]).toEqual([dialog.key, dialog.state]);
          expect(textOf(restored.request('ACK', 7))).toBe(textOf(dialog.request('ACK', 7)));
          const next = restored.request('BYE').headers.get('cseq');
          expect(next).toBe(`${localSequence + SEQUENCE_JUMP + 1} BYE`);
          // Twice restored, without a request in between: still higher than anything that may have been sent.
          const again = Number.parseInt(afterRestart(restored).request('BYE').headers.get('cseq')!, 10);
          expect(again).toBeGreaterThan(Number.parseInt(next!, 10));
          expect(restored.admits(0)).toBe(dialog.admits(0));
        },
      ),
    );
  });

  it('of another form is refused', () => {
    const saved = { ...dialogOf('uas', BLANK).save(), ...REST };
    expect(readSavedDialog(saved)).toBeDefined();
    for (const wrong of [undefined, null, 'text', {}, { ...saved, transport: 'sctp' }])
      expect(readSavedDialog(wrong)).toBeUndefined();
    for (const key of ['id', 'callId', 'localTag', 'routeSet', 'remote', 'tags'])
      expect(readSavedDialog({ ...saved, [key]: 7 })).toBeUndefined();
  });
});
