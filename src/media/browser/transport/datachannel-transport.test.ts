import { describe, expect, it } from 'vitest';
import { writeTransportSdp } from './datachannel-transport.js';

const REMOTE = {
  iceUfrag: 'abcd',
  icePwd: 'a-password-of-22-chars',
  fingerprint: 'sha-256 AA:BB',
  setup: 'passive' as const,
  candidates: ['1 1 UDP 2114977791 192.0.2.2 7000 typ host'],
};

describe('the SDP of a transport', () => {
  it('has one audio m-line, and a data section only when asked for', () => {
    expect(writeTransportSdp(REMOTE).match(/^m=.*/gm)).toEqual(['m=audio 9 UDP/TLS/RTP/SAVPF 111']);
    expect(writeTransportSdp(REMOTE, { withData: true }).match(/^m=\w+/gm)).toEqual([
      'm=audio',
      'm=application',
    ]);
  });

  it('says that the remote end is ICE-lite only when the library is to have the controlling role', () => {
    expect(writeTransportSdp(REMOTE)).not.toContain('a=ice-lite');
    expect(writeTransportSdp(REMOTE, { controlled: true })).toContain('a=ice-lite');
  });
});
