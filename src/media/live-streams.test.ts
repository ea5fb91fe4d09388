import { beforeEach, describe, expect, it } from 'vitest';
import type { LiveStream } from './endpoint.js';
import { LiveStreams } from './live-streams.js';
import type { PublishedTrack } from './track.js';

const source = (streamId = 's', tracks: readonly PublishedTrack[] = []): LiveStream => ({ streamId, tracks });

describe('streams that are live in a plane', () => {
  const changes: string[][] = [];
  let streams: LiveStreams;
  beforeEach(() => {
    changes.length = 0;
    streams = new LiveStreams((changed) => changes.push([...changed]));
  });

  it('come from where they began last, and from where they came before when that ends', () => {
    const [before, now] = [source(), source()];
    streams.replace([], [before]);
    streams.replace([], [now]);
    expect(streams.get('s')).toBe(now);
    streams.replace([now], []);
    expect(streams.get('s')).toBe(before);
    streams.replace([before], []);
    expect(streams.get('s')).toBeUndefined();
    expect(changes).toEqual([['s'], ['s'], ['s'], ['s']]);
  });

  it('do not end with a source of before', () => {
    const [before, now] = [source(), source()];
    streams.replaceLocal([], [before]);
    streams.replace([], [now]);
    streams.replaceLocal([before], []);
    expect(streams.get('s')).toBe(now);
    streams.replace([now], []);
    expect(streams.get('s')).toBeUndefined();
  });

  it('keep their order when the tracks of a source change', () => {
    const [before, now, changed] = [source(), source(), source()];
    streams.replace([], [before]);
    streams.replace([], [now]);
    streams.replace([before], [changed]);
    expect(streams.get('s')).toBe(now);
    streams.replace([now], []);
    expect(streams.get('s')).toBe(changed);
  });

  it('are told apart by whether they are published here', () => {
    const [here, there] = [source(), source()];
    streams.replaceLocal([], [here]);
    expect(streams.local('s')).toBe(here);
    streams.replace([], [there]);
    expect(streams.local('s')).toBeUndefined();
    streams.replace([there], []);
    expect(streams.local('s')).toBe(here);
  });
});
