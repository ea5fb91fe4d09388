import { describe, expect, it } from 'vitest';
import { writePipeSdp } from './datachannel-pipe.js';

const REMOTE = {
  iceUfrag: 'abcd',
  icePwd: 'a-password-of-22-chars',
  fingerprint: 'sha-256 AA:BB',
  setup: 'passive' as const,
  candidates: ['1 1 UDP 2114977791 192.0.2.2 7000 typ host'],
};

describe('the SDP of a pipe', () => {
  it('has one audio m-line, and a data section only when asked for', () => {
    expect(writePipeSdp(REMOTE).match(/^m=.*/gm)).toEqual(['m=audio 9 UDP/TLS/RTP/SAVPF 111']);
    expect(writePipeSdp(REMOTE, { withData: true }).match(/^m=\w+/gm)).toEqual(['m=audio', 'm=application']);
  });

  it('says that the remote end is ICE-lite only when the library is to have the controlling role', () => {
    expect(writePipeSdp(REMOTE)).not.toContain('a=ice-lite');
    expect(writePipeSdp(REMOTE, { controlled: true })).toContain('a=ice-lite');
  });
});
