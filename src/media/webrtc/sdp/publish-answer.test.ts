import { describe, expect, it } from 'vitest';
import { browserOffer } from '../testing/browser-sdp.js';
import type { BrowserOffer } from '../testing/browser-sdp.js';
import type { MediaKind } from '../../types.js';
import { parseDescription } from './description.js';
import { acceptOffer, writePublishAnswer } from './publish-answer.js';

const TRANSPORT = {
  iceUfrag: 'ours',
  icePwd: 'our-password-of-22-chars',
  fingerprint: 'sha-256 AA:BB',
  setup: 'active' as const,
  candidates: ['1 1 UDP 1 127.0.0.1 7000 typ host'],
};

function answer(
  offer: BrowserOffer,
  kinds: readonly MediaKind[] = ['audio', 'video'],
  { acceptData = true, opusDtx = false } = {},
) {
  const description = parseDescription(browserOffer(offer));
  const { accepted, refused } = acceptOffer(description, kinds);
  const sdp = writePublishAnswer({
    offer: description,
    accepted,
    acceptData,
    opusDtx,
    transport: TRANSPORT,
    session: { sessionId: '1', version: 1 },
  });
  return {
    accepted,
    refused,
    sdp,
    sections: sdp.split(/(?=^m=)/m).slice(1),
    bundle: /a=group:BUNDLE (.*)\r/.exec(sdp)?.[1],
  };
}

const CAMERA: BrowserOffer = {
  media: [
    { kind: 'audio', mid: '1', msid: 'camera' },
    { kind: 'video', mid: '2', msid: 'camera' },
  ],
};

describe('the answer to a publish offer', () => {
  it('takes Opus with in-band repair, and VP8 with its retransmissions', () => {
    const { sections, bundle, sdp } = answer(CAMERA);
    expect(bundle).toBe('0 1 2');
    expect(sections[1]).toMatch(/^m=audio 9 UDP\/TLS\/RTP\/SAVPF 111 110\r/);
    expect(sections[1]).toContain('a=fmtp:111 minptime=10;useinbandfec=1\r');
    expect(sections[2]).toMatch(/^m=video 9 UDP\/TLS\/RTP\/SAVPF 96 97\r/);
    expect(sections[2]).toContain('a=rtcp-fb:96 nack pli');
    for (const section of sections.slice(1)) expect(section).toContain('a=recvonly');
    expect(sdp).toContain('a=candidate:1 1 UDP 1 127.0.0.1 7000 typ host');
    // Opus is 48 kHz: events at another clock would break its timestamps.
    expect(sections[1]).not.toContain('telephone-event/8000');
  });

  it('takes one layer of an offer with several: without simulcast in the answer one is sent (RFC 8853 section 5.3.2)', () => {
    const layers = ['a=rid:h send', 'a=rid:l send', 'a=simulcast:send h;l', ''].join('\r\n');
    const offer = parseDescription(browserOffer(CAMERA) + layers);
    const { accepted } = acceptOffer(offer, ['audio', 'video']);
    expect(accepted.map(({ section }) => section.kind)).toEqual(['audio', 'video']);
    const session = { sessionId: '1', version: 1 };
    const sdp = writePublishAnswer({ offer, accepted, acceptData: true, transport: TRANSPORT, session });
    expect(sdp).toMatch(/^m=video 9 /m);
    expect(sdp).not.toMatch(/a=(rid|simulcast)/);
  });

  it.each([
    ['the page asks for it', 'minptime=10;usedtx=1;useinbandfec=1', {}],
    ['the operator wants it', 'minptime=10;useinbandfec=1', { opusDtx: true }],
  ])('asks for Opus that stops in silence where %s', (_who, fmtp, options) => {
    const formats = [`111 opus/48000/2 ${fmtp}`, '0 PCMU/8000'];
    const { sections } = answer({ media: [{ kind: 'audio', mid: '1', formats }] }, ['audio'], options);
    expect(sections[1]).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r');
  });

  it.each(['usedtx=0', 'x-usedtx=1', 'stereo=1'])('does not ask for DTX for an offer with %s', (fmtp) => {
    const { sections } = answer({
      media: [{ kind: 'audio', mid: '1', formats: [`111 opus/48000/2 ${fmtp}`] }],
    });
    expect(sections[1]).not.toContain('usedtx');
  });

  it('keeps only the header extensions that we read', () => {
    const { sections } = answer(CAMERA);
    expect(sections[1]!.match(/a=extmap.*/g)).toHaveLength(2);
    expect(sections[1]).not.toContain('ssrc-audio-level');
  });

  it('refuses kinds that the device may not publish, out of the bundle', () => {
    const { sections, bundle, accepted } = answer(CAMERA, ['audio']);
    expect(accepted.map(({ section }) => section.kind)).toEqual(['audio']);
    expect(bundle).toBe('0 1');
    expect(sections[2]).toMatch(/^m=video 0 /);
    expect(sections[2]).toContain('a=inactive');
  });

  it.each(['0f9b5b1c-6f0e-4d6f-9f0a-1c2d3e4f5a6b', 'm'.repeat(300), '9'.repeat(40)])(
    'takes a mid of any length: %s',
    (mid) => {
      const { sections, bundle } = answer({ media: [{ kind: 'audio', mid }] });
      expect(bundle).toBe(`0 ${mid}`);
      expect(sections[1]).toContain(`a=mid:${mid}\r`);
    },
  );

  it('keeps the places of stopped m-lines', () => {
    const { sections, bundle } = answer({
      media: [
        { kind: 'audio', mid: '1', stopped: true },
        { kind: 'video', mid: '3', msid: 'screen' },
      ],
    });
    expect(bundle).toBe('0 3');
    expect(sections[1]).toMatch(/^m=audio 0 /);
    expect(sections[2]).toMatch(/^m=video 9 /);
  });

  it.each(['recvonly', 'inactive'])(
    'keeps an m-line idle that the browser does not send on: %s',
    (direction) => {
      const { sections, accepted } = answer({ media: [{ kind: 'audio', mid: '1', direction }] });
      expect(accepted[0]?.receiving).toBe(false);
      expect(sections[1]).toMatch(/^m=audio 9 /);
      expect(sections[1]).toContain('a=inactive');
    },
  );

  it('takes the codec that the browser lists first', () => {
    const formats = ['45 AV1/90000', '98 VP9/90000 profile-id=0', '99 rtx/90000 apt=98', '96 VP8/90000'];
    const { accepted } = answer({ media: [{ kind: 'video', mid: '1', formats: formats.slice(1) }] });
    expect(accepted[0]).toMatchObject({ codec: { name: 'VP9' }, rtx: { payloadType: 99 } });
    expect(answer({ media: [{ kind: 'video', mid: '1', formats }] }).accepted[0]?.codec.name).toBe('AV1');
  });

  it.each([
    [
      'H264 profile-level-id=42001f;packetization-mode=1',
      'H264 profile-level-id=42e01f;packetization-mode=1',
    ],
    [
      'H264 profile-level-id=640c1f;packetization-mode=1',
      'H264 profile-level-id=42c01f;packetization-mode=1',
    ],
    [
      'H264 profile-level-id=42e01f;packetization-mode=0',
      'H264 profile-level-id=42e01f;packetization-mode=1',
    ],
    ['VP9 profile-id=2', 'VP9 profile-id=0'],
  ])('takes, of one codec, what all browsers take: not %s but %s', (first, second) => {
    const formats = [first, second].map((text, i) => `${100 + 2 * i} ${text.replace(' ', '/90000 ')}`);
    const chosen = (offered: string[]) =>
      answer({ media: [{ kind: 'video', mid: '1', formats: offered }] }).accepted[0]?.codec.payloadType;
    expect(chosen([...formats, '96 VP8/90000'])).toBe(102);
    expect(chosen(['96 VP8/90000', ...formats])).toBe(96);
    expect(chosen(formats.slice(0, 1))).toBe(100);
  });

  it('refuses an m-line without a codec that we forward', () => {
    const { sections } = answer({ media: [{ kind: 'video', mid: '1', formats: ['100 H263/90000'] }] });
    expect(sections[1]).toMatch(/^m=video 0 /);
  });

  it('takes one track of each kind for a stream', () => {
    const { accepted } = answer({
      media: [
        { kind: 'video', mid: '1', msid: 'camera' },
        { kind: 'video', mid: '2', msid: 'camera' },
        { kind: 'video', mid: '3', msid: 'screen' },
      ],
    });
    expect(accepted.map(({ section }) => section.mid)).toEqual(['1', '3']);
  });

  it('says of what is sent and not taken why', () => {
    const media = [
      { kind: 'audio' as const, mid: '1', msid: 'camera' },
      { kind: 'video' as const, mid: '2', msid: 'camera' },
      { kind: 'video' as const, mid: '3', direction: 'recvonly' },
      { kind: 'video' as const, mid: '4', stopped: true },
      { kind: 'audio' as const, mid: '5', msid: 'camera' },
      { kind: 'audio' as const, mid: '6', formats: ['100 GSM/8000'] },
    ];
    expect(answer({ media }, ['audio']).refused).toEqual([
      { publisherMsid: 'camera', kind: 'video', reason: 'not permitted' },
      { publisherMsid: 'camera', kind: 'audio', reason: 'the stream has a track of this kind already' },
      { kind: 'audio', reason: 'no codec that is forwarded' },
    ]);
  });

  it('takes a bounded number of tracks', () => {
    const media = Array.from({ length: 40 }, (_, i) => ({
      kind: 'audio' as const,
      mid: `m${i}`,
      msid: `stream-${i}`,
    }));
    const { accepted, refused, sections } = answer({ media });
    expect(accepted).toHaveLength(32);
    expect(refused).toHaveLength(8);
    expect(refused[0]).toMatchObject({ kind: 'audio', reason: 'more than 32 tracks' });
    expect(sections.filter((section) => section.startsWith('m=audio 0 '))).toHaveLength(8);
  });

  it('refuses the data section when the transport has none', () => {
    const { sections, bundle } = answer(CAMERA, ['audio', 'video'], { acceptData: false });
    expect(sections[0]).toMatch(/^m=application 0 /);
    expect(bundle).toBe('1 2');
  });

  it('has no transport when nothing is accepted', () => {
    const offer = parseDescription(browserOffer({ data: false, media: [{ kind: 'video', mid: '1' }] }));
    const sdp = writePublishAnswer({
      offer,
      accepted: acceptOffer(offer, []).accepted,
      acceptData: false,
      session: { sessionId: '1', version: 1 },
    });
    expect(sdp).toContain('m=video 0 ');
    expect(sdp).not.toContain('BUNDLE');
  });
});
