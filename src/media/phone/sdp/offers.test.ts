import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AUDIO_CODECS } from '../../codecs/index.js';
import { codeOf, end, HEAD, negotiate, sdp } from '../testing/negotiate.js';
import { agreeOn, type AudioSession, chooseAudio, telephoneEventFor } from './audio-session.js';
import { formatsToOffer, writeOffer } from './local-description.js';
import { readRemoteDescription } from './remote-description.js';

describe('offer', () => {
  it('has all codecs and both clocks of telephone-event, and can itself be answered', () => {
    const description = readRemoteDescription(
      writeOffer(end, undefined, formatsToOffer(undefined, AUDIO_CODECS)),
    );
    const formats = description.sections[0]!.formats;
    expect(formats.map(({ name, clockRate }) => `${name}/${clockRate}`)).toEqual([
      'opus/48000',
      'G722/8000',
      'PCMU/8000',
      'PCMA/8000',
      'telephone-event/8000',
      'telephone-event/48000',
    ]);
    expect(new Set(formats.map(({ payloadType }) => payloadType)).size).toBe(formats.length);
  });

  it('keeps the payload types of the call', () => {
    const { session } = negotiate(
      sdp('m=audio 4000 RTP/AVP 96 97', 'a=rtpmap:96 telephone-event/8000', 'a=rtpmap:97 G722/8000'),
    );
    const { formats } = readRemoteDescription(writeOffer(end, session, formatsToOffer(session, AUDIO_CODECS)))
      .sections[0]!;
    expect(formats[0]).toMatchObject({ name: 'G722', payloadType: 97 });
    expect(
      formats.find(({ name, clockRate }) => name === 'telephone-event' && clockRate === 8000),
    ).toMatchObject({ payloadType: 96 });
    expect(new Set(formats.map(({ payloadType }) => payloadType)).size).toBe(formats.length);
  });
});

describe('an answer to our offer', () => {
  const offered = formatsToOffer(undefined, AUDIO_CODECS);
  const agree = (...lines: string[]): AudioSession =>
    agreeOn(chooseAudio(readRemoteDescription(sdp(...lines))).section, AUDIO_CODECS, offered);
  const received = (session: AudioSession): string[] =>
    [...session.received].map(([payloadType, { codec }]) => `${payloadType} ${codec.name}`);

  it('lets the phone send by our payload types, and us by its own (RFC 3264 section 5.1)', () => {
    const session = agree(
      'm=audio 4000 RTP/AVP 111 121',
      'a=rtpmap:111 opus/48000/2',
      'a=rtpmap:121 telephone-event/8000',
    );
    expect(session.payloadType).toBe(111);
    expect(telephoneEventFor(session)).toEqual({ payloadType: 121, clockRate: 8000 });
    expect(received(session)).toEqual(['96 opus', '111 opus', '9 G722', '0 PCMU', '8 PCMA']);
    expect([...session.receivedEvents]).toEqual([
      [101, 8000],
      [121, 8000],
      [102, 48000],
    ]);
  });

  it('gives a payload type with two meanings the agreed one', () => {
    const session = agree('m=audio 4000 RTP/AVP 0 96', 'a=rtpmap:96 telephone-event/8000');
    expect(session.receivedEvents.get(96)).toBe(8000);
    expect(session.receivedEvents.get(101)).toBe(8000);
    expect(received(session)).toEqual(['0 PCMU', '9 G722', '8 PCMA']);
  });

  it('leaves our payload types unchanged in later offers (RFC 3264 section 8.3.2)', () => {
    const session = agree('m=audio 4000 RTP/AVP 111', 'a=rtpmap:111 opus/48000/2');
    expect(formatsToOffer(session, AUDIO_CODECS)).toEqual(offered);
    const other = agree('m=audio 4000 RTP/AVP 8');
    expect([...formatsToOffer(other, AUDIO_CODECS).codecs.keys()][0]).toBe(other.codec);
  });
});

describe('an offer that cannot be used', () => {
  it.each([
    ['no common codec', sdp('m=audio 4000 RTP/AVP 18'), 'NO_COMMON_CODEC'],
    ['only video', sdp('m=video 4000 RTP/AVP 31'), 'NO_COMMON_CODEC'],
    ['audio switched off', sdp('m=audio 0 RTP/AVP 0'), 'NO_COMMON_CODEC'],
    ['DTLS', sdp('m=audio 4000 UDP/TLS/RTP/SAVPF 0'), 'NO_COMMON_TRANSPORT'],
    ['SAVP without a key', sdp('m=audio 4000 RTP/SAVP 0'), 'NO_COMMON_CODEC'],
    ['a dynamic payload type without a map', sdp('m=audio 4000 RTP/AVP 96'), 'NO_COMMON_CODEC'],
    ['nothing', '', 'BAD_SDP'],
    ['no m-line', sdp(), 'BAD_SDP'],
    ['no v-line', 'm=audio 4000 RTP/AVP 0\r\n', 'BAD_SDP'],
    ['an invalid port', sdp('m=audio 70000 RTP/AVP 0'), 'BAD_SDP'],
    ['multicast', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 224.2.1.1/127'), 'BAD_SDP'],
    ['broadcast', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 255.255.255.255'), 'BAD_SDP'],
    ['IPv6 multicast', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP6 ff02::1'), 'BAD_SDP'],
    ['IPv4-mapped multicast', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP6 ::ffff:224.2.1.1'), 'BAD_SDP'],
    ['IPv4-mapped broadcast', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP6 ::ffff:ffff:ffff'), 'BAD_SDP'],
    ['a megabyte', sdp('m=audio 4000 RTP/AVP 0', `a=x:${'x'.repeat(2 ** 20)}`), 'BAD_SDP'],
    ['a hundred m-lines', sdp(...Array<string>(100).fill('m=audio 4000 RTP/AVP 0')), 'BAD_SDP'],
  ])('is refused: %s', (_what, offer, code) => {
    expect(codeOf(offer)).toBe(code);
  });

  const line = fc.oneof(
    fc.constantFrom(
      ...HEAD,
      'm=audio 4000 RTP/AVP 0 8 101',
      'm=audio 4000 RTP/SAVP 0',
      'm=audio',
      'm=',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:101',
      'a=ptime:x',
      'a=rtcp:1 IN IP4 0.0.0.0',
      'a=rtcp:',
      'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:',
      'a=crypto:',
      'c=IN IP4',
      'c=IN IP6 ::',
      'a=mid:',
      'a=__proto__:x',
    ),
    fc.string({ maxLength: 30 }),
    fc
      .tuple(fc.constantFrom('a=', 'm=', 'c=', 'a=rtpmap:', 'a=crypto:'), fc.string({ maxLength: 20 }))
      .map((p) => p.join('')),
  );

  it('throws only MediaError, or gets an answer that is an SDP', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const offer = ['v=0', ...lines, ''].join('\r\n');
        if (codeOf(offer) !== 'none') return;
        const { answer } = negotiate(offer);
        expect(readRemoteDescription(answer).sections.length).toBe(
          readRemoteDescription(offer).sections.length,
        );
      }),
      { numRuns: 1000 },
    );
  });
});
