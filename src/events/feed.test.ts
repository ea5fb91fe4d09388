import { beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../shared/testing/index.js';
import { type AccountEvent, EventFeed, type EventFilter, type StoredEvent } from './feed.js';

let clock: FakeClock;
let feed: EventFeed;
beforeEach(() => {
  clock = new FakeClock();
  feed = new EventFeed(clock);
});

const happen = (n: number, more: Partial<AccountEvent> = {}): void =>
  feed.add('a', { type: 'thing', at: 0, tags: [], data: { n }, ...more });

/** Reads an account's events. */
function read(lastEventId?: string, filter: EventFilter = {}, account = 'a') {
  const events: StoredEvent[] = [];
  const reader = {
    isSlow: false,
    send: (event: StoredEvent) => events.push(event),
    offer: (event: StoredEvent): boolean => !reader.isSlow && events.push(event) > 0,
  };
  const end = feed.read(account, { filter, lastEventId, ...reader });
  const told = (): (string | number)[] =>
    events.map(({ type, text }) => (type === 'thing' ? (JSON.parse(text) as { n: number }).n : type));
  return { events, end, told, reader };
}

describe('the events of an account', () => {
  it('begin with a reset, and are those that its filter wants', () => {
    const all = read();
    const session = read(undefined, { sessionId: 's' });
    const tag = read(undefined, { tag: 'vip' });
    const other = read(undefined, {}, 'b');
    happen(1);
    happen(2, { sessionId: 's' });
    happen(3, { sessionId: 't', tags: ['vip'] });
    expect(all.told()).toEqual(['reset', 1, 2, 3]);
    expect(session.told()).toEqual(['reset', 2]);
    expect(tag.told()).toEqual(['reset', 3]);
    expect(other.told()).toEqual(['reset']);
    expect(JSON.parse(all.events[1]!.text)).toEqual({ at: '1970-01-01T00:00:00.000Z', n: 1 });
  });

  it('go on after the last one that a reader had', () => {
    const first = read();
    happen(1);
    first.end();
    happen(2);
    happen(3, { sessionId: 's' });
    const last = first.events.at(-1)!.id;
    expect(read(last).told()).toEqual([2, 3]);
    expect(read(last, { sessionId: 's' }).told()).toEqual([3]);
    expect(first.told()).toEqual(['reset', 1]);
    const again = read(read().events.at(-1)!.id);
    happen(4);
    expect(again.told()).toEqual([4]);
  });

  it.each(['', '-', 'x-1', '7', 'é'])('begin anew for one who had %j, which no event is', (id) => {
    read();
    happen(1);
    expect(read(id).told()).toEqual(['reset']);
  });

  it('begin anew after a restart, and when too much has happened, or nobody has read for five minutes', () => {
    const first = read();
    happen(1);
    const { id } = first.events.at(-1)!;
    const future = id.replace('-1', '-2');
    expect(read(future).told()).toEqual(['reset']);
    const before = feed;
    feed = new EventFeed(clock);
    expect(read(id).told()).toEqual(['reset']);
    feed = before;
    const long = 'x'.repeat(1000);
    for (let n = 2; n < 400; n += 1) happen(n, { data: { n, long } });
    expect(read(id).told()).toEqual(['reset']);
    expect(feed.counts().bytes).toBeLessThanOrEqual(256 * 1024);
    const recent = first.events.at(-10)!.id;
    expect(read(recent).told()).toHaveLength(9);
  });

  it('that are out of date soon are not kept, and go to who watches their session and keeps up', () => {
    const reader = read(undefined, { sessionId: 's' });
    const [slow, other, all] = [
      read(undefined, { sessionId: 's' }),
      read(undefined, { sessionId: 't' }),
      read(),
    ];
    slow.reader.isSlow = true;
    happen(1, { sessionId: 's' });
    const before = feed.counts().bytes;
    for (let n = 2; n < 5; n += 1)
      feed.offer('a', { type: 'thing', at: 0, sessionId: 's', tags: [], data: { n } });
    happen(5, { sessionId: 's' });
    expect(reader.told()).toEqual(['reset', 1, 2, 3, 4, 5]);
    expect(slow.told()).toEqual(['reset', 1, 5]);
    expect(other.told()).toEqual(['reset']);
    expect(all.told()).toEqual(['reset', 1, 5]);
    expect(feed.counts()).toMatchObject({ dropped: 3, bytes: before * 2 });
    // A reader that had one of them as its last goes on as if there had been none.
    expect(read(reader.events.at(-2)!.id, { sessionId: 's' }).told()).toEqual([5]);
  });

  it('of one session are known to be read, as long as they are', () => {
    const watched: string[] = [];
    feed = new EventFeed(clock, (account, sessionId) => {
      watched.push(`${account} ${sessionId}`);
      return () => watched.push('end');
    });
    const reader = read(undefined, { sessionId: 's' });
    read();
    expect(watched).toEqual(['a s']);
    reader.end();
    reader.end();
    expect(watched).toEqual(['a s', 'end']);
  });

  it('are kept for five minutes after the last reader has gone', () => {
    const reader = read();
    reader.end();
    reader.end();
    const { id } = reader.events[0]!;
    clock.advance(4 * 60_000);
    happen(1);
    const back = read(id);
    expect(back.told()).toEqual([1]);
    clock.advance(10 * 60_000);
    expect(feed.isRead('a')).toBe(true);
    back.end();
    clock.advance(5 * 60_000);
    expect(feed.isRead('a')).toBe(false);
    expect(feed.counts()).toEqual({ readers: 0, bytes: 0, dropped: 0 });
  });
});
