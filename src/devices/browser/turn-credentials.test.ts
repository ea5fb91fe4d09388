import { expect, it } from 'vitest';
import { turnCredentials } from './turn-credentials.js';

it('makes credentials as coturn checks them with use-auth-secret', () => {
  const server = { urls: ['turn:turn.example:3478'], secret: 'north' };
  // The password is made by: printf 1700032400:p1 | openssl dgst -sha1 -hmac north -binary | base64
  expect(turnCredentials(server, 'p1', 1_700_032_400_999)).toEqual({
    urls: ['turn:turn.example:3478'],
    username: '1700032400:p1',
    credential: 'gvCzx3AUU7e0nHaAWrpZ/cNav08=',
  });
});
