import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AUDIO_CODECS } from '../../../media/index.js';
import {
  directionOf,
  firstCodec,
  hasTelephoneEvent,
  hasUsableAudio,
  nothingYet,
  Origin,
  plainAudioOnly,
  preferring,
  isEncrypted,
  withAddress,
  withDirection,
  withoutTelephoneEvent,
} from './sdp.js';

const sdp = (...lines: string[]): string => [...lines, ''].join('\r\n');

const PHONE = sdp(
  'v=0',
  'o=phone 17592186044416123456 7 IN IP4 192.0.2.7',
  's=-',
  'c=IN IP4 192.0.2.7',
  't=0 0',
  'm=audio 4000 RTP/AVP 8 0 96 101',
  'a=rtpmap:96 opus/48000/2',
  'a=rtpmap:101 telephone-event/8000',
  'a=sendrecv',
);

/** As FreeSWITCH offers: once with SRTP, once without, on one port. */
const DOUBLE = sdp(
  'v=0',
  'o=FreeSWITCH 1 1 IN IP4 192.0.2.1',
  's=FreeSWITCH',
  'c=IN IP4 192.0.2.1',
  't=0 0',
  'm=audio 5000 RTP/SAVP 0 8',
  'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WnifvfCM3gCAlvxYjfy+sLL9cDPINcolv/kp9NE7',
  'm=audio 5000 RTP/AVP 0 8',
);

describe('the direction of a phone', () => {
  it('is sendrecv unless said otherwise, in the section or for all', () => {
    expect(directionOf(PHONE.replace('a=sendrecv\r\n', ''))).toBe('sendrecv');
    expect(directionOf(PHONE.replace('a=sendrecv', 'a=inactive'))).toBe('inactive');
    expect(directionOf(PHONE.replace('a=sendrecv\r\n', '').replace('t=0 0', 't=0 0\r\na=recvonly'))).toBe(
      'recvonly',
    );
  });

  it('is sendonly when media are to go nowhere, as older phones hold', () => {
    const old = PHONE.replace('c=IN IP4 192.0.2.7', 'c=IN IP4 0.0.0.0');
    expect(directionOf(old)).toBe('sendonly');
    expect(directionOf(old.replace('a=sendrecv', 'a=recvonly'))).toBe('inactive');
  });

  it('is that of the audio, not of a refused section before it', () => {
    const refused = PHONE.replace('m=audio', 'm=audio 0 RTP/SAVP 0\r\na=inactive\r\nm=audio');
    expect(directionOf(refused)).toBe('sendrecv');
  });

  it('can be put into another description', () => {
    expect(directionOf(withDirection(PHONE, 'sendonly'))).toBe('sendonly');
    expect(withDirection(PHONE, 'sendonly').match(/a=(send|recv)/g)).toHaveLength(1);
  });
});

describe('codecs', () => {
  it('finds the one that a phone wants most, static payload types included', () => {
    expect(firstCodec(PHONE)).toBe('PCMA');
    expect(firstCodec(PHONE.replace('8 0 96 101', '96 8'))).toBe('opus');
    expect(firstCodec(PHONE.replace('8 0 96 101', '18'))).toBeUndefined();
    expect(firstCodec('v=0\r\n')).toBeUndefined();
  });

  it('puts a codec first and keeps the others in their order', () => {
    expect(preferring(PHONE, 'OPUS')).toContain('m=audio 4000 RTP/AVP 96 8 0 101');
    expect(preferring(PHONE, 'G722')).toContain('m=audio 4000 RTP/AVP 8 0 96 101');
    expect(preferring(PHONE, undefined)).toBe(PHONE);
  });
});

describe('an offer of FreeSWITCH', () => {
  it('is cut to the section without SRTP', () => {
    const plain = plainAudioOnly(DOUBLE);
    expect(plain.match(/^m=/gm)).toHaveLength(1);
    expect(plain).toContain('m=audio 5000 RTP/AVP 0 8');
    expect(plain).not.toContain('crypto');
  });

  it('is answered with no media yet, and never with its own keys', () => {
    const answer = nothingYet(DOUBLE);
    expect(answer).toContain('m=audio 0 RTP/SAVP');
    expect(answer).toContain('m=audio 9 RTP/AVP 0 8');
    expect(answer.match(/a=inactive/g)).toHaveLength(2);
    expect(answer).not.toContain('crypto');
  });
});

describe('what else is read and written', () => {
  it('sends media to another address, whatever sections said', () => {
    const moved = withAddress(PHONE.replace('a=sendrecv', 'c=IN IP4 198.51.100.1'), '10.0.0.5');
    expect(moved.match(/^c=.*/gm)).toEqual(['c=IN IP4 10.0.0.5']);
    expect(withAddress(PHONE, '2001:db8::1')).toContain('c=IN IP6 2001:db8::1');
  });

  it('knows telephone events and encryption', () => {
    expect(hasTelephoneEvent(PHONE)).toBe(true);
    expect(hasTelephoneEvent(DOUBLE)).toBe(false);
    expect(isEncrypted(PHONE)).toBe(false);
    expect(isEncrypted(DOUBLE)).toBe(true);
    expect(isEncrypted(plainAudioOnly(DOUBLE))).toBe(false);
    expect(isEncrypted(`${PHONE}a=fingerprint:sha-256 AA:BB\r\n`)).toBe(true);
  });

  it('takes telephone events out, and nothing else', () => {
    const tones = withoutTelephoneEvent(PHONE.replace('a=sendrecv', 'a=fmtp:101 0-15\r\na=sendrecv'));
    expect(tones).toContain('m=audio 4000 RTP/AVP 8 0 96\r\n');
    expect(tones).toContain('a=rtpmap:96 opus/48000/2');
    expect(tones).not.toContain('101 ');
    expect(withoutTelephoneEvent(DOUBLE)).toBe(DOUBLE);
  });

  it('knows audio that FreeSWITCH can use', () => {
    expect(hasUsableAudio(PHONE)).toBe(true);
    expect(hasUsableAudio(DOUBLE.replace('RTP/AVP 0 8', 'RTP/AVP 18'))).toBe(false);
    expect(hasUsableAudio('v=0\r\n')).toBe(false);
  });

  it('takes the codecs that FreeSWITCH’s configuration has for those that there are', () => {
    const vars = readFileSync(new URL('../../../../sip-config/freeswitch/vars.xml', import.meta.url), 'utf8');
    const configured = /data="codecs=([^"]*)"/.exec(vars)?.[1]?.split(',');
    expect(configured?.sort()).toEqual(AUDIO_CODECS.map(({ name }) => name.toUpperCase()).sort());
  });

  it('keeps one origin with a rising version over descriptions of different servers', () => {
    const origin = new Origin();
    const lines = [origin.next(DOUBLE), origin.next(PHONE)].map((text) => /^o=.*/m.exec(text)?.[0]);
    expect(lines).toEqual(['o=patchbay 1 1 IN IP4 192.0.2.1', 'o=patchbay 1 2 IN IP4 192.0.2.7']);
  });
});
