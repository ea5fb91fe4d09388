import { expect, it } from 'vitest';
import { parseDescription } from './description.js';

const sdp = (...lines: string[]): string =>
  ['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', ...lines, ''].join('\r\n');

it('reads m-lines with a single format, which the SDP library gives as a number', () => {
  const { sections } = parseDescription(
    sdp(
      'm=audio 9 UDP/TLS/RTP/SAVPF 111',
      'a=mid:0',
      'a=inactive',
      'a=ice-ufrag:1234',
      'a=ice-pwd:1234567890123456789012',
      `a=fingerprint:sha-256 ${Array<string>(32).fill('AB').join(':')}`,
      'a=setup:passive',
      'a=rtpmap:111 opus/48000/2',
      'm=application 0 UDP/DTLS/SCTP 5000',
      'a=mid:1',
    ),
  );
  expect(sections).toMatchObject([
    { kind: 'audio', mid: '0', formats: [{ payloadType: 111, name: 'opus' }] },
    { kind: 'data', rejected: true, payloads: '5000' },
  ]);
});
