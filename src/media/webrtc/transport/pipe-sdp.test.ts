import { describe, expect, it } from 'vitest';
import { readPipeSdp, writePipeSdp } from './pipe-sdp.js';

const REMOTE = {
  iceUfrag: 'abcd',
  icePwd: 'a-password-of-22-chars',
  fingerprint: 'sha-256 AA:BB',
  setup: 'passive' as const,
  candidates: ['1 1 UDP 2114977791 192.0.2.2 7000 typ host'],
};

describe('the SDP of a pipe', () => {
  it('has one audio m-line, and a data section only when asked for', () => {
    expect(writePipeSdp(REMOTE, false).match(/^m=.*/gm)).toEqual(['m=audio 9 UDP/TLS/RTP/SAVPF 111']);
    expect(writePipeSdp(REMOTE, true).match(/^m=\w+/gm)).toEqual(['m=audio', 'm=application']);
  });

  it('reads back what it says', () => {
    expect(readPipeSdp(writePipeSdp(REMOTE, true))).toEqual(REMOTE);
  });

  it('announces the public address in place of all of ours, once', () => {
    const two = { ...REMOTE, candidates: ['2 1 UDP 2 fd00::2 7000 typ host', ...REMOTE.candidates] };
    expect(readPipeSdp(writePipeSdp(two, false), '198.51.100.7').candidates).toEqual([
      '2 1 UDP 2 198.51.100.7 7000 typ host',
    ]);
  });

  it('says what is missing', () => {
    expect(() => readPipeSdp('v=0\r\n')).toThrow('ice-ufrag');
  });
});
