import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeClock } from '../shared/testing/index.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, OTHER_ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';
import { startStoredCore, type StoredCore } from './testing/stored-core.js';

interface Report {
  items: Record<string, unknown>[];
  next?: string;
  totals: { tag?: string; connections: number; seconds: number }[];
}

const clock = new FakeClock();
let stored: StoredCore;
let gateway: TestGateway;

beforeAll(async () => {
  stored = await startStoredCore(clock);
  gateway = await startApi(stored);
  connectFor(60, { tag: 'support' });
  connectFor(30, { tag: 'support' });
  connectFor(10, {});
  connectFor(5, { account: OTHER_ACCOUNT.id });
});

afterAll(async () => {
  await gateway.stop();
  await stored.stop();
});

/** Connects a phone that leaves so many seconds later. */
function connectFor(
  seconds: number,
  { tag, account = ACCOUNT.id }: { tag?: string; account?: string },
): void {
  const { core } = stored;
  const session = core.createSession(account, tag === undefined ? {} : { tag });
  const { id } = core.createParticipant(account, {}).participant;
  core.addToSession(account, session.id, id);
  const caller = { kind: 'phone', caller: '+15555550100', callerName: '=cmd()', called: 'room' } as const;
  const device = new TestDevice(core, id, caller);
  clock.advance(seconds * 1000);
  device.connection.end('left');
}

async function report(query: string): Promise<Report> {
  const response = await gateway.ask(`/usage${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as Report;
}

describe('the usage report', () => {
  it('has the connections of the account, and totals by tag', async () => {
    const { items, next, totals } = await report('');
    expect(next).toBeUndefined();
    expect(items.map(({ seconds }) => seconds)).toEqual([60, 30, 10]);
    expect(items[0]).toMatchObject({
      accountId: ACCOUNT.id,
      sessionTag: 'support',
      kind: 'phone',
      direction: 'inbound',
      caller: '+15555550100',
      endReason: 'left',
    });
    const { startedAt, endedAt } = items[0] as { startedAt: string; endedAt: string };
    expect(Date.parse(endedAt) - Date.parse(startedAt)).toBe(60_000);
    expect(totals).toEqual([
      { tag: 'support', connections: 2, seconds: 90 },
      { connections: 1, seconds: 10 },
    ]);
  });

  it('comes in pages, each with the totals of all pages and a link to the next', async () => {
    const first = await gateway.ask('/usage?limit=2&tag=support&format=json');
    const { items, next, totals } = (await first.json()) as Report;
    expect(items).toHaveLength(2);
    expect(next).toBeUndefined();
    expect(totals).toEqual([{ tag: 'support', connections: 2, seconds: 90 }]);

    const seen: unknown[] = [];
    let path: string | undefined = '/usage?limit=1';
    while (path !== undefined) {
      const response = await gateway.ask(path);
      const page = (await response.json()) as Report;
      expect(page.totals).toHaveLength(2);
      seen.push(...page.items.map(({ seconds }) => seconds));
      const link = /^<\/v1\/accounts\/\d+(.*)>; rel="next"$/.exec(response.headers.get('link') ?? '');
      expect(link !== null).toBe(page.next !== undefined);
      path = link?.[1];
    }
    expect(seen).toEqual([60, 30, 10]);
  });

  it('can be limited to a period', async () => {
    const { items } = await report('');
    const second = (items[1] as { startedAt: string }).startedAt;
    const at = encodeURIComponent(second);
    expect((await report(`?from=${at}`)).items.map(({ seconds }) => seconds)).toEqual([30, 10]);
    expect((await report(`?to=${at}`)).items.map(({ seconds }) => seconds)).toEqual([60]);
    expect((await report('?to=1970-01-01')).items).toEqual([]);
  });

  it('can be CSV that is harmless in spreadsheets', async () => {
    const response = await gateway.ask('/usage?format=csv&limit=2');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="usage.csv"');
    expect(response.headers.get('link')).toContain('format=csv&limit=2&cursor=');
    const [head, ...lines] = (await response.text()).trimEnd().split('\r\n');
    expect(head).toContain('sessionTag');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain(",+15555550100,'=cmd(),room,");
  });

  it.each(['from=yesterday', 'from=1', 'to=2026-13-01', 'format=xml', 'limit=0', 'cursor=nonsense'])(
    'is refused with 400 for %s',
    async (query) => {
      const response = await gateway.ask(`/usage?${query}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ reason: 'PATCHBAY_BAD_REQUEST' });
    },
  );
});
