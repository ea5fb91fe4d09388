import { describe, expect, it } from 'vitest';
import { readMetrics } from '../support/metrics.js';
import { DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT, Rest, TWO_ACCOUNTS } from '../support/rest.js';
import { useStage } from '../support/stage.js';
import { until } from '../support/until.js';

/** A harmonic that all notes around the octave of the sung scale have near. */
const SUNG_HZ = 440;
/** FreeSWITCH is on this machine, and must be allowed. */
const VIA_FREESWITCH = (process.env['PATCHBAY_FREESWITCH'] ?? '') !== '';
const ALLOW = VIA_FREESWITCH ? {} : { PATCHBAY_SIP_ALLOW: '192.0.2.0/24' };
const LIMIT = { withinMs: 30_000 };

interface TestCall {
  readonly testCallId: string;
  readonly state: string;
  readonly deviceId?: string;
  readonly sessionId?: string;
  readonly signalling?: { readonly status: number; readonly answeredAfterMs?: number };
  readonly toGateway?: { readonly packets?: number; readonly heardBy: number; readonly levelDb?: number };
  readonly fromGateway?: { readonly packets: number; readonly lost: number; readonly levelDb?: number };
  readonly roundTripMs?: number;
  readonly delayMs?: number;
  readonly mos?: number;
  readonly problem?: { readonly code: string; readonly message: string; readonly advice: string };
}

describe('the test caller, where PATCHBAY_SIP_ALLOW excludes this machine', () => {
  const stage = useStage({ env: { ...TWO_ACCOUNTS, ...ALLOW } });
  const place = async (body: object): Promise<TestCall> =>
    (await stage.rest.request('POST', '/testCalls', body)) as TestCall;
  const read = async ({ testCallId }: TestCall): Promise<TestCall> =>
    (await stage.rest.request('GET', `/testCalls/${testCallId}`)) as TestCall;
  const hangUp = ({ testCallId }: TestCall) => stage.rest.request('DELETE', `/testCalls/${testCallId}`);
  const until200 = (call: TestCall): Promise<TestCall> =>
    until(
      'an answer',
      async () => {
        const now = await read(call);
        return now.state !== 'calling' && now;
      },
      LIMIT,
    );

  it('is heard in a browser, says what it hears, and is marked in usage', async () => {
    const { rest, chrome, gateway } = stage;
    const session = await rest.session();
    const [caller, listener] = [await rest.member(session), await rest.member(session)];
    const call = await place({ participantId: caller.id });
    expect(call.state).toBe('calling');
    const alone = await until(
      'nobody to hear',
      async () => {
        const now = await read(call);
        return now.problem?.code === 'nobody-hears' && now;
      },
      LIMIT,
    );
    expect(alone.problem?.advice).toContain('join page');
    await expect(place({ participantId: caller.id })).rejects.toThrow('PATCHBAY_TEST_CALL_RUNNING');

    const page = await chrome.openClient({ gatewayUrl: gateway.wsUrl, token: listener.token });
    await page.publishTone(700);
    await page.hears(SUNG_HZ, { participantId: caller.id });
    const good = await until(
      'all figures',
      async () => {
        const now = await read(call);
        return (
          now.mos !== undefined &&
          now.roundTripMs !== undefined &&
          now.fromGateway?.levelDb !== undefined &&
          // FreeSWITCH does not tell how many came.
          ((now.toGateway?.packets ?? 0) > 50 || VIA_FREESWITCH) &&
          now
        );
      },
      { ...LIMIT, seen: () => read(call) },
    );
    expect(good).toMatchObject({
      state: 'answered',
      sessionId: session,
      signalling: { status: 200 },
      toGateway: { heardBy: 1 },
    });
    expect(good.problem).toBeUndefined();
    expect(good.mos).toBeGreaterThan(3.5);
    expect(good.delayMs).toBeGreaterThanOrEqual(60);
    await hangUp(call);
    expect(await read(call)).toMatchObject({ state: 'ended', mos: good.mos });

    const { items } = (await rest.request('GET', `/usage?participantId=${caller.id}`)) as {
      items: { test?: boolean; endReason?: string; deviceId: string }[];
    };
    expect(items).toMatchObject([{ test: true, endReason: 'left', deviceId: good.deviceId }]);
    const others = (await rest.request('GET', `/usage?participantId=${listener.id}`)) as { items: object[] };
    expect(others.items[0]).not.toHaveProperty('test');
    const metrics = await readMetrics(gateway);
    expect(metrics.get('patchbay_test_calls')).toBe(0);
    expect(metrics.get('patchbay_test_calls_total{outcome="answered"}')).toBe(1);
    expect(metrics.get('patchbay_test_calls_total{outcome="refused"}')).toBe(1);
  });

  it('says in words why a call fails, and is of no use to strangers and other accounts', async () => {
    const { rest, gateway } = stage;
    const outside = await rest.participant();
    const lonely = await place({ participantId: outside.id });
    await until('no session', async () => (await read(lonely)).problem?.code === 'no-session', LIMIT);
    const other = new Rest(gateway, OTHER_ACCOUNT);
    await expect(other.request('GET', `/testCalls/${lonely.testCallId}`)).rejects.toThrow('404');
    await expect(other.request('POST', '/testCalls', { participantId: outside.id })).rejects.toThrow('404');
    const ended = until('the end', async () => (await read(lonely)).state === 'ended', LIMIT);
    await rest.deleteParticipant(outside.id);
    await ended;
    expect((await read(lonely)).problem?.code).toBe('ended-early');

    // Its participant is busy.
    const session = await rest.session();
    const busy = await rest.member(session);
    const first = await place({ participantId: busy.id, seconds: 300 });
    await until200(first);
    const { url, authorization } = {
      url: `${gateway.httpUrl}/v1/accounts/${DEVELOPMENT_ACCOUNT.id}/participants/${busy.id}/device`,
      authorization: `Basic ${Buffer.from('patchbay:patchbay').toString('base64')}`,
    };
    expect((await fetch(url, { headers: { authorization } })).status).toBe(200);
    await hangUp(first);
    await stage.chrome.openClient({ gatewayUrl: gateway.wsUrl, token: busy.token });
    await until(
      'the page',
      async () => (await rest.device(busy.id).catch(() => undefined))?.kind === 'browser',
      LIMIT,
    );
    const refused = await until200(await place({ participantId: busy.id }));
    expect(refused).toMatchObject({
      state: 'failed',
      signalling: { status: 486 },
      problem: { code: 'refused' },
    });
    expect(refused.problem?.advice).toContain('disconnect');
  });
});
