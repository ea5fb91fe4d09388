import { describe, expect, it } from 'vitest';
import { FailedCallReports } from './failed-call-reports.js';
import { noRoom } from './refusal.js';
import { EXPIRED_TOKEN, FakeGate, recordingLog } from './testing/fakes.js';
import { invite } from './testing/phone-app.js';

function start() {
  const gate = new FakeGate();
  const { log, lines } = recordingLog();
  let now = 0;
  const calls = new FailedCallReports({ gate, tokenHeaders: [], log, now: () => now });
  const refused = (token: string | undefined, callId: string, cseq = 1): void =>
    calls.foundNoRoom(invite(token, { 'call-id': callId, cseq: `${cseq} INVITE` }), noRoom());
  return { gate, lines, calls, refused, pass: (ms: number) => (now += ms) };
}

/** A turn of the event loop: what was asked of the core is answered. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('calls that found no room', () => {
  it('are reported to the account of their token, an expired one too, once each', async () => {
    const { gate, lines, refused } = start();
    refused(EXPIRED_TOKEN, 'first');
    refused(EXPIRED_TOKEN, 'first');
    // The same call again, as its phone may try it.
    refused(EXPIRED_TOKEN, 'first', 2);
    refused(undefined, 'nobody');
    await turn();
    expect(
      gate.failed.map(({ participantId, call }) => [participantId, call.externalId, call.status]),
    ).toEqual([
      ['alice', 'first', 503],
      ['alice', 'first', 503],
    ]);
    expect(gate.failed[0]!.call).toMatchObject({ kind: 'phone', caller: '+15555550100', callerName: 'Ann' });
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { msg: 'Call failed.', callId: 'first', participantId: 'alice', account: '9900000', status: 503 },
      { msg: 'Call failed.' },
    ]);
  });

  it('are not looked up when there are too many, but counted', async () => {
    const { gate, calls, refused, pass } = start();
    for (let n = 0; n < 250; n += 1) refused(EXPIRED_TOKEN, `call ${n}`);
    await turn();
    expect([gate.failed.length, calls.notLookedUp]).toEqual([100, 150]);
    pass(1_000);
    for (let n = 250; n < 300; n += 1) refused(EXPIRED_TOKEN, `call ${n}`);
    await turn();
    expect([gate.failed.length, calls.notLookedUp]).toEqual([120, 180]);
  });
});
