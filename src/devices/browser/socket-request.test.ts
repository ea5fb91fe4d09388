import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSocketRequest } from './gateway.js';

describe('the URL of a browser socket', () => {
  it('says who connects', () => {
    const target = '//v3/?token=a.b.c&client=browser&sdkVersion=0.12.0-beta.1&uniqueId=6f-1';
    expect(parseSocketRequest(target)).toEqual({
      version: 'V3',
      token: 'a.b.c',
      uniqueId: '6f-1',
      sdkVersion: '0.12.0-beta.1',
    });
  });

  it.each(['/', '/v3x', '/v1/accounts', '/av3/', '/v3/more'])('is not %s', (target) => {
    expect(parseSocketRequest(target)).toBeUndefined();
  });

  it('gives a client without an id, or with a wild one, an id of its own', () => {
    for (const uniqueId of ['', 'two words', 'x'.repeat(500), '\u{1F600}']) {
      const query = new URLSearchParams({ token: 't', uniqueId }).toString();
      expect(parseSocketRequest(`/v3/?${query}`)?.uniqueId).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('may be any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const request = parseSocketRequest(`/v3/?${text}`);
        expect(request?.uniqueId).toMatch(/^[\w.:@+-]{1,128}$/);
      }),
    );
  });
});
