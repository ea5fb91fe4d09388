import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MediaError } from '../../types.js';
import { browserOffer } from '../testing/browser-sdp.js';
import type { Description } from './description.js';
import { isMedia, MAX_SDP_LENGTH, parseDescription } from './description.js';

const OFFER = browserOffer({
  media: [
    { kind: 'audio', mid: '1', msid: 'camera', ssrc: 11 },
    { kind: 'video', mid: '2', msid: 'camera', ssrc: 21, rtxSsrc: 22 },
  ],
});

/** Values that the SDP parser turns into numbers where texts are expected. */
const DIGITS = [
  ...[
    'm=audio 9 UDP/TLS/RTP/SAVPF 0',
    'm=1 2 3 4',
    'a=msid:5 6',
    'a=mid:7',
    'a=fmtp:96 8',
    'a=ssrc:1 msid:9',
  ],
  ...[
    'a=rtpmap:96 1/2',
    'a=extmap:1 2',
    'a=ssrc-group:FID 1',
    'a=fingerprint:1 2',
    'a=setup:3',
    'a=rtcp-fb:96 4',
  ],
];

function parsed(sdp: string): Description | Error {
  try {
    return parseDescription(sdp);
  } catch (error) {
    return error as Error;
  }
}

/** Characters in all that a description holds. */
const sizeOf = (description: Description): number =>
  JSON.stringify(description, (_key, value: unknown) =>
    value instanceof Map ? [...(value as Map<unknown, unknown>)] : value,
  ).length;

const refusal = (sdp: string): unknown => {
  try {
    return parseDescription(sdp);
  } catch (error) {
    return error;
  }
};

describe('a browser description', () => {
  it('is reduced to sections and one transport', () => {
    const { sections, transport } = parseDescription(OFFER);
    expect(sections.map(({ kind, mid }) => [kind, mid])).toEqual([
      ['data', '0'],
      ['audio', '1'],
      ['video', '2'],
    ]);
    expect(transport).toMatchObject({ iceUfrag: 'abcd', setup: 'actpass', candidates: [] });
    const video = sections[2]!;
    if (!isMedia(video)) throw new Error('no media');
    expect(video).toMatchObject({
      msid: { stream: 'camera', track: 'track-2' },
      ssrcs: [21],
      direction: 'sendonly',
    });
    expect(video.rtxSsrcs.get(21)).toBe(22);
    expect(video.formats[0]).toMatchObject({ payloadType: 96, name: 'VP8', clockRate: 90_000 });
    expect(video.formats[0]!.feedback).toContain('nack pli');
  });

  it('takes the transport from the first section that is not rejected', () => {
    const dead =
      'm=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:dead\r\na=mid:9\r\n';
    const sdp = browserOffer({ data: false, media: [{ kind: 'audio', mid: '1' }] }).replace(
      'm=audio',
      `${dead}m=audio`,
    );
    const { sections, transport } = parseDescription(sdp);
    expect(sections[0]!.rejected).toBe(true);
    expect(transport?.iceUfrag).toBe('abcd');
  });

  it('knows static payload types without rtpmap', () => {
    const sdp = browserOffer({ media: [{ kind: 'audio', mid: '1' }] }).replace(
      'a=rtpmap:0 PCMU/8000\r\n',
      '',
    );
    const audio = parseDescription(sdp).sections[1]!;
    expect(isMedia(audio) && audio.formats.find(({ payloadType }) => payloadType === 0)?.name).toBe('PCMU');
  });

  it('reads credentials of digits as text', () => {
    expect(parseDescription(browserOffer({ ufrag: '0042' })).transport?.iceUfrag).toBe('0042');
    expect(parseDescription(browserOffer({ ufrag: '4242' })).transport?.iceUfrag).toBe('4242');
  });

  it('reads an m-line with a single format', () => {
    const sdp = browserOffer({ media: [{ kind: 'audio', mid: '1', formats: ['0 PCMU/8000'] }] });
    const dead = 'm=application 0 UDP/DTLS/SCTP 5000\r\na=mid:2\r\n';
    expect(parseDescription(sdp + dead).sections.slice(1)).toMatchObject([
      { kind: 'audio', formats: [{ payloadType: 0, name: 'PCMU' }] },
      { kind: 'data', rejected: true, payloads: '5000' },
    ]);
  });

  it('never takes candidates, so that an SDP cannot make us send or resolve', () => {
    const sdp = OFFER.replace('a=mid:1', 'a=candidate:1 1 udp 1 evil.example 9 typ host\r\na=mid:1');
    expect(parseDescription(sdp).transport?.candidates).toEqual([]);
  });

  it.each([
    ['one mebibyte', 'a'.repeat(1024 * 1024)],
    [
      'a thousand m-lines',
      browserOffer({ media: Array.from({ length: 1000 }, (_, i) => ({ kind: 'audio', mid: `m${i}` })) }),
    ],
    ['no ICE credentials', OFFER.replaceAll(/a=ice-ufrag.*\r\n/g, '')],
    ['a short ICE password', OFFER.replaceAll(/a=ice-pwd:.*\r\n/g, 'a=ice-pwd:short\r\n')],
    ['no fingerprint', OFFER.replaceAll(/a=fingerprint.*\r\n/g, '')],
    ['no setup', OFFER.replaceAll(/a=setup.*\r\n/g, '')],
    ['a mid that is not a token', OFFER.replace('a=mid:1', 'a=mid:1,1')],
    ['the same mid twice', OFFER.replace('a=mid:1', 'a=mid:2')],
  ])('is refused with %s', (_what, sdp) => {
    const error = refusal(sdp);
    expect(error).toBeInstanceOf(MediaError);
    expect(error).toMatchObject({ code: 'BAD_SDP' });
  });

  it('knows each payload type once, and tens of feedback values of it', () => {
    const feedback = Array.from({ length: 500 }, (_, i) => `a=rtcp-fb:* x${i}\r\na=rtcp-fb:111 y${i}\r\n`);
    const sdp = OFFER.replace('a=mid:1\r\n', `a=mid:1\r\n${feedback.join('')}`).replace(
      /^m=audio.*/m,
      (line) => line + ' 111'.repeat(500),
    );
    const audio = parseDescription(sdp).sections[1]!;
    if (!isMedia(audio)) throw new Error('no media');
    const types = audio.formats.map(({ payloadType }) => payloadType);
    expect(new Set(types).size).toBe(types.length);
    expect(Math.max(...audio.formats.map((format) => format.feedback.length))).toBe(64);
  });

  describe('of any size', () => {
    const AUDIO = 'm=audio 9 UDP/TLS/RTP/SAVPF 0 111\r\na=mid:a\r\n';
    const HEAD = OFFER.slice(0, OFFER.indexOf('m=audio'));
    /** The parts of an SDP that grow, by their number. */
    const PARTS: Record<string, (count: number) => string> = {
      'payload types': (n) => `m=audio 9 UDP/TLS/RTP/SAVPF${' 111'.repeat(n)}\r\na=mid:a\r\n`,
      'm-lines': (n) => Array.from({ length: n }, (_, i) => AUDIO.replace('mid:a', `mid:x${i}`)).join(''),
      // The product of the two once killed the process.
      'payload types and feedback': (n) =>
        `m=audio 9 UDP/TLS/RTP/SAVPF${' 0'.repeat(n)}\r\na=mid:a\r\n${'a=rtcp-fb:* nack\r\n'.repeat(n)}`,
      'other feedback': (n) => AUDIO + Array.from({ length: n }, (_, i) => `a=rtcp-fb:* x${i}\r\n`).join(''),
      ...Object.fromEntries(
        [
          'a=rtpmap:111 opus/48000/2',
          'a=fmtp:111 apt=1;',
          'a=extmap:1 urn:x',
          'a=ssrc:1 msid:a b',
          'a=ssrc-group:FID 1 2',
          'a=candidate:1 1 udp 1 127.0.0.1 9 typ host',
          'a=rid:x send',
          'a=simulcast: send 1;2;3',
          'a=mid:a',
          'a=ice-ufrag:abcd',
          'a=msid:a b',
          'b=AS:1',
          'x',
        ].map((line) => [line, (n: number) => AUDIO + `${line}\r\n`.repeat(n)]),
      ),
      'one fmtp': (n) => `${AUDIO}a=rtpmap:96 H264/90000\r\na=fmtp:96 ${';'.repeat(n)}\r\n`,
      spaces: (n) => `${AUDIO}a=ssrc:1${' '.repeat(n)}\r\n`,
      digits: (n) => `${AUDIO}a=rtpmap:${'1'.repeat(n)}\r\n`,
    };

    it.each(Object.entries(PARTS))(
      'holds no more characters than the SDP, or is refused: %s',
      (_part, make) => {
        let accepted = 0;
        for (let count = 1; count <= 65_536; count *= 2) {
          const sdp = HEAD + make(count);
          const result = parsed(sdp);
          if (result instanceof Error) expect(result).toMatchObject({ code: 'BAD_SDP' });
          else {
            accepted += 1;
            expect(sizeOf(result)).toBeLessThan(4 * sdp.length + 2_000);
          }
          if (sdp.length > MAX_SDP_LENGTH) expect(result).toBeInstanceOf(Error);
        }
        expect(accepted).toBeGreaterThan(5);
      },
    );

    it('takes twenty m-lines with everything that Chromium writes into one', () => {
      const media = Array.from({ length: 20 }, (_, i) => ({
        kind: 'video' as const,
        mid: String(i + 1),
        // As many lines as its 45 payload types come to.
        formats: Array.from(
          { length: 45 },
          (_f, type) => `${80 + type} VP8/90000 x-profile=${'p'.repeat(60)}`,
        ),
      }));
      expect(parseDescription(browserOffer({ media })).sections).toHaveLength(21);
    });
  });

  it('is parsed or refused as bad, whatever is done to it', () => {
    const lines = OFFER.split('\r\n');
    const edit = fc.record({
      line: fc.nat({ max: lines.length - 1 }),
      text: fc.oneof(fc.string(), fc.constantFrom(...lines), fc.constantFrom(...DIGITS)),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), (edits) => {
        const mutated = [...lines];
        for (const { line, text } of edits) mutated[line] = text;
        const result = refusal(mutated.join('\r\n'));
        if (result instanceof Error) expect(result).toMatchObject({ name: 'MediaError', code: 'BAD_SDP' });
      }),
      { numRuns: 1000 },
    );
  });

  it('is parsed or refused as bad when it is noise', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (noise) => {
        const result = refusal(`v=0\r\n${noise}`);
        if (result instanceof Error) expect(result).toMatchObject({ code: 'BAD_SDP' });
      }),
    );
  });
});

it('reads the stream ids of Firefox, which are in braces', () => {
  const offer = browserOffer({ media: [{ kind: 'video', mid: '1', msid: '{58081b06}', ssrc: 11 }] });
  const [section] = parseDescription(offer).sections.filter(isMedia);
  expect(section?.msid?.stream).toBe('{58081b06}');
});
