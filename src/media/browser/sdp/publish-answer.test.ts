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
  offer: BrowserOffer | string,
  kinds: readonly MediaKind[] = ['audio', 'video'],
  { acceptData = true, opusDtx = false } = {},
) {
  const description = parseDescription(typeof offer === 'string' ? offer : browserOffer(offer));
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
  it('takes an m-line without a mid', () => {
    const offer = browserOffer({ data: false, media: [{ kind: 'audio', mid: '1' }] });
    const { sections, accepted, sdp } = answer(offer.replace(/a=(mid|group).*\r\n/g, ''));
    expect(accepted).toHaveLength(1);
    expect(sections[0]).toMatch(/^m=audio 9 /);
    expect(sdp).not.toMatch(/a=(mid|group)/);
  });

  it('bundles what was bundled, and refuses what was not, by port 0', () => {
    const camera = browserOffer(CAMERA);
    const apart = answer(camera.replace('a=group:BUNDLE 0 1 2', 'a=group:LS 1 2\r\na=group:BUNDLE 0 2'));
    expect(apart.bundle).toBe('0 2');
    expect(apart.sections.map((section) => section.slice(0, 12))).toEqual([
      'm=applicatio',
      'm=audio 0 UD',
      'm=video 9 UD',
    ]);
    expect(apart.refused).toEqual([
      { publisherMsid: 'camera', kind: 'audio', reason: 'outside the BUNDLE group' },
    ]);
    // Without a group each m-line would need its own path, but there is only one.
    const none = answer(camera.replace('a=group:BUNDLE 0 1 2\r\n', ''));
    expect([none.bundle, none.accepted.map(({ section }) => section.mid)]).toEqual([undefined, ['1']]);
    expect(none.sections.map((section) => / \d+ /.exec(section)![0])).toEqual([' 0 ', ' 9 ', ' 0 ']);
    expect(none.refused.map(({ kind }) => kind)).toEqual(['video']);
  });

  it.each([
    ['send q;h;f', ['q send', 'h send', 'f send'], 'f'],
    ['recv x send q;~h,f', ['q send', 'h send', 'f send', 'x recv'], 'h'],
    ['send 1;2', ['1 send', '2 send'], '2'],
    ['recv q;f', ['q recv', 'f recv'], undefined],
    ['send q;f', ['q send', 'f send pt=96'], undefined],
    ['send q;f', ['q send'], undefined],
  ])('asks for the largest of several layers: %s', (simulcast, rids, best) => {
    const lines = [...rids.map((rid) => `a=rid:${rid}\r\n`), `a=simulcast:${simulcast}\r\n`].join('');
    const extension = 'a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n';
    const { sections } = answer(
      browserOffer(CAMERA).replace('a=mid:2\r\n', `a=mid:2\r\n${extension}${lines}`),
    );
    const layers = sections[2]!.split('\r\n').filter((line) => /^a=(rid|simulcast)/.test(line));
    expect(layers).toEqual(best === undefined ? [] : [`a=rid:${best} recv`, `a=simulcast:recv ${best}`]);
    expect(sections[2]).toContain(extension);
  });

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

  it('keeps only the header extensions that we read', () => {
    const { sections } = answer(CAMERA);
    expect(sections[1]!.match(/a=extmap.*/g)).toHaveLength(3);
    expect(sections[1]).toContain('a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n');
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

  it('gives a reason for each track that is sent and refused', () => {
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
