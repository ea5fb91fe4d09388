import { describe, expect, it } from 'vitest';
import { AUDIO_CODECS } from '../../codecs/index.js';
import { createMasterKey, findSrtpSuite, writeInlineKey } from '../../srtp/index.js';
import { codeOf, end, HEAD, keys, negotiate, sdp } from '../testing/negotiate.js';
import { agreeOn, chooseAudio, telephoneEventFor } from './audio-session.js';
import { formatsToOffer, writeAnswer, writeOffer } from './local-description.js';
import { readRemoteDescription } from './remote-description.js';

describe('answer', () => {
  it('takes the phone’s first supported codec, and its telephone-event', () => {
    const { lines, session } = negotiate(
      sdp(
        'm=audio 4000 RTP/AVP 18 8 0 96 97',
        'a=rtpmap:18 G729/8000',
        'a=rtpmap:96 telephone-event/8000',
        'a=rtpmap:97 telephone-event/48000',
      ),
    );
    expect(session.codec.name).toBe('PCMA');
    expect(session.peer).toEqual({ address: '198.51.100.7', port: 4000 });
    expect(session.rtcpPeer?.port).toBe(4001);
    expect(lines).toEqual([
      'v=0',
      'o=patchbay 7 1 IN IP4 192.0.2.1',
      's=patchbay',
      'c=IN IP4 192.0.2.1',
      't=0 0',
      'm=audio 20000 RTP/AVP 8 96',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:96 telephone-event/8000',
      'a=fmtp:96 0-15',
      'a=ptime:20',
      'a=rtcp:20001',
      'a=sendrecv',
      '',
    ]);
  });

  it.each([
    ['opus/48000/2', 48000, 97],
    ['G722/8000', 8000, 96],
    ['PCMU/8000', 8000, 96],
  ])('sends telephone-event at the clock of %s', (codec, clockRate, payloadType) => {
    const { session } = negotiate(
      sdp(
        'm=audio 4000 RTP/AVP 100 96 97',
        `a=rtpmap:100 ${codec}`,
        'a=rtpmap:96 telephone-event/8000',
        'a=rtpmap:97 telephone-event/48000',
      ),
    );
    expect(telephoneEventFor(session)).toEqual({ clockRate, payloadType });
  });

  it('asks a phone for Opus DTX only if the operator wants it, as answerer and as offerer', () => {
    const description = readRemoteDescription(
      sdp('m=audio 4000 RTP/AVP 100', 'a=rtpmap:100 opus/48000/2', 'a=fmtp:100 usedtx=1'),
    );
    const choice = chooseAudio(description);
    const session = agreeOn(choice.section);
    const fmtp = (opusDtx: boolean): (string | undefined)[] =>
      [
        writeAnswer({ ...end, opusDtx }, description, choice, session),
        writeOffer({ ...end, opusDtx }, session, formatsToOffer(session, AUDIO_CODECS)),
        writeOffer({ ...end, opusDtx }, undefined, formatsToOffer(undefined, AUDIO_CODECS)),
      ].map((text) => /a=fmtp:\d+ (useinbandfec.*)/.exec(text)?.[1]);
    expect(fmtp(false)).toEqual(new Array(3).fill('useinbandfec=1'));
    expect(fmtp(true)).toEqual(new Array(3).fill('useinbandfec=1;usedtx=1'));
  });

  it('refuses other m-lines by port 0, in their order, mids kept', () => {
    const { lines } = negotiate(
      sdp(
        'm=video 5000 RTP/AVP 31 34',
        'a=mid:v',
        'm=audio 4000 RTP/AVP 0',
        'a=mid:a',
        'm=audio 4100 RTP/AVP 0',
        'm=image 4200 udptl t38',
      ),
    );
    expect(lines.filter((line) => /^m=|^a=mid/.test(line))).toEqual([
      'm=video 0 RTP/AVP 31 34',
      'a=mid:v',
      'm=audio 20000 RTP/AVP 0',
      'a=mid:a',
      'm=audio 0 RTP/AVP 0',
      'm=image 0 udptl t38',
    ]);
  });

  it('skips audio m-lines that are switched off or do not fit', () => {
    const { lines } = negotiate(
      sdp('m=audio 0 RTP/AVP 0', 'm=audio 4000 RTP/AVP 18', 'm=audio 4002 RTP/AVP 0'),
    );
    expect(lines.filter((line) => line.startsWith('m='))).toEqual([
      'm=audio 0 RTP/AVP 0',
      'm=audio 0 RTP/AVP 18',
      'm=audio 20000 RTP/AVP 0',
    ]);
  });

  it.each([
    ['sendrecv', 'sendrecv', false],
    ['sendonly', 'recvonly', true],
    ['recvonly', 'sendonly', false],
    ['inactive', 'inactive', true],
  ])('answers %s with %s', (offered, answered, held) => {
    const { lines, session } = negotiate(sdp('m=audio 4000 RTP/AVP 0', `a=${offered}`));
    expect(lines).toContain(`a=${answered}`);
    expect(session.held).toBe(held);
  });

  it('takes a direction from the session level', () => {
    const { session } = negotiate([...HEAD, 'a=inactive', 'm=audio 4000 RTP/AVP 0', ''].join('\r\n'));
    expect(session.held).toBe(true);
  });

  it('understands the hold of RFC 2543', () => {
    const { session, lines } = negotiate(sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 0.0.0.0'));
    expect(session.held).toBe(true);
    expect(session.peer).toBeUndefined();
    expect(lines).toContain('a=recvonly');
  });

  it.each([
    [['a=ptime:30'], 30],
    [['a=ptime:10'], 10],
    [['a=ptime:60'], 60],
    [['a=ptime:200'], 60],
    [['a=ptime:25'], 20],
    [['a=maxptime:10'], 10],
    [['a=ptime:40', 'a=maxptime:30'], 30],
    [['a=ptime:0'], 20],
    [[], 20],
  ])('sends packets of the length that %j asks for: %i ms', (attributes, ptime) => {
    const { session, lines } = negotiate(sdp('m=audio 4000 RTP/AVP 0', ...attributes));
    expect(session.ptime).toBe(ptime);
    expect(lines).toContain(`a=ptime:${ptime}`);
  });

  it('has no 30 ms frames of Opus', () => {
    const offer = sdp('m=audio 4000 RTP/AVP 96', 'a=rtpmap:96 opus/48000/2', 'a=ptime:30');
    expect(negotiate(offer).session.ptime).toBe(20);
  });

  it('sends RTCP where the phone wants it', () => {
    const explicit = negotiate(sdp('m=audio 4000 RTP/AVP 0', 'a=rtcp:4007 IN IP4 198.51.100.9'));
    expect(explicit.session.rtcpPeer).toEqual({ address: '198.51.100.9', port: 4007 });
    const muxed = negotiate(sdp('m=audio 4000 RTP/AVP 0', 'a=rtcp-mux'));
    expect(muxed.session.rtcpMux).toBe(true);
    expect(muxed.lines).toContain('a=rtcp-mux');
  });

  it('takes an address from the m-line, also IPv6, and ignores a host name', () => {
    const six = negotiate(sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP6 2001:db8::7'));
    expect(six.session.peer?.address).toBe('2001:db8::7');
    expect(negotiate(sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 phone.example')).session.peer).toBeUndefined();
  });

  it.each([
    ['a number of ports', ['m=audio 40314/2 RTP/AVP 0 101'], 40314],
    ['more than one space', ['m=audio  4000   RTP/AVP  0\t101 '], 4000],
    ['a transport in small letters', ['m=audio 4000 rtp/avp 0 101'], 4000],
    ['a kind in capitals', ['m=AUDIO 4000 RTP/AVP 0 101'], 4000],
  ])('reads an m-line with %s', (_what, line, port) => {
    const { session, lines } = negotiate(
      sdp(...line, 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:101 telephone-event/8000'),
    );
    expect(session.peer?.port).toBe(port);
    const [, , protocol] = line[0]!.split(/\s+/);
    expect(lines).toContain(`${line[0]!.split(/\s/, 1)[0]!} 20000 ${protocol} 0 101`);
  });

  it.each([
    'a=rtpmap: 101 telephone-event/8000',
    'a=rtpmap:101\ttelephone-event/8000',
    'a=rtpmap:101  telephone-event/8000',
    'a=RTPMAP:101 TELEPHONE-EVENT/8000',
    ' a=rtpmap:101 telephone-event/8000 ',
    'a=rtpmap :101 telephone-event /8000',
    'a= rtpmap:101 telephone-event/8000',
  ])('reads %j', (map) => {
    const { session } = negotiate(sdp('m=audio 4000 RTP/AVP 0 101', map));
    expect(session.telephoneEvents.get(8000)).toBe(101);
  });

  it('reads other attributes and addresses with white space and in capitals', () => {
    const { session } = negotiate(
      [
        ...HEAD.slice(0, 3),
        'c=in  ip4 198.51.100.8 ',
        'm=audio 4000 RTP/AVP 0',
        'a=ptime: 30',
        'a=SendOnly',
      ].join('\r\n'),
    );
    expect(session.ptime).toBe(30);
    expect(session.direction).toBe('sendonly');
    expect(session.peer?.address).toBe('198.51.100.8');
    const rtcp = negotiate(sdp('m=audio 4000 RTP/AVP 0', 'a=rtcp: 4009', 'a=mid: 7'));
    expect(rtcp.session.rtcpPeer?.port).toBe(4009);
    expect(rtcp.lines).toContain('a=mid:7');
  });

  it.each([
    ['alone', '9'],
    ['before another', '9 0'],
    ['of a dynamic payload type', '97 0'],
  ])('takes G.722 %s that names its sample rate for its clock (RFC 3551 section 4.5.2)', (_what, types) => {
    const offered = negotiate(
      sdp(`m=audio 4000 RTP/AVP ${types}`, `a=rtpmap:${types.split(' ')[0]!} G722/16000`),
    );
    expect(offered.session.codec.name).toBe('G722');
  });

  it.each([
    ['a number of ports', ['m=video 5000/2 RTP/AVP 96']],
    ['a multicast address', ['m=video 5000 RTP/AVP 96', 'c=IN IP4 224.2.1.1/127']],
    ['no port', ['m=video x RTP/AVP 96']],
    ['an invalid port', ['m=video 99999 RTP/AVP 96']],
    ['nothing', ['m=video']],
    ['an invalid port for RTCP', ['m=video 5000 RTP/AVP 96', 'a=rtcp:99999']],
  ])('refuses a video m-line with %s by port 0 and takes the audio', (_what, video) => {
    const { lines, session } = negotiate(sdp(...video, 'm=audio 4000 RTP/AVP 0'));
    const formats = video[0]!.endsWith('96') ? '96' : '0';
    expect(lines.filter((line) => line.startsWith('m='))).toEqual([
      `m=video 0 RTP/AVP ${formats}`,
      'm=audio 20000 RTP/AVP 0',
    ]);
    expect(session.peer?.port).toBe(4000);
  });

  it('refuses one audio m-line of two that cannot be used', () => {
    const { lines } = negotiate(sdp('m=audio 99999 RTP/AVP 0', 'm=audio 4000 RTP/AVP 0', 'a=rtcp:99999'));
    expect(lines.filter((line) => line.startsWith('m='))).toEqual([
      'm=audio 0 RTP/AVP 0',
      'm=audio 20000 RTP/AVP 0',
    ]);
  });

  it.each([
    [['m=audio 4000 RTP/AVP 0 13'], 13],
    [['m=audio 4000 RTP/AVP 9 0 13', 'a=rtpmap:13 CN/8000'], 13],
    [['m=audio 4000 RTP/AVP 8 104 105', 'a=rtpmap:104 CN/16000', 'a=rtpmap:105 cn/8000'], 105],
  ])('agrees to comfort noise that is offered: %j', (written, payloadType) => {
    const { session, lines } = negotiate(sdp(...written));
    expect(session.sentComfortNoise).toBe(payloadType);
    const m = lines.find((line) => line.startsWith('m='));
    expect(m).toBe(`m=audio 20000 RTP/AVP ${session.payloadType} ${payloadType}`);
    expect(lines).toContain(`a=rtpmap:${payloadType} CN/8000`);
  });

  it.each([
    [['m=audio 4000 RTP/AVP 0']],
    [['m=audio 4000 RTP/AVP 100 13', 'a=rtpmap:100 opus/48000/2']],
    [['m=audio 4000 RTP/AVP 0 104', 'a=rtpmap:104 CN/16000']],
    // Not comfort noise, though a phone says so.
    [['m=audio 4000 RTP/AVP 13 0', 'a=rtpmap:13 PCMA/8000']],
  ])('answers no comfort noise that it was not offered for the codec: %j', (written) => {
    const { session, lines } = negotiate(sdp(...written));
    expect(session.sentComfortNoise).toBeUndefined();
    expect(lines.join()).not.toContain('CN/');
  });

  it('goes on offering the comfort noise that the phone offered', () => {
    const { session } = negotiate(sdp('m=audio 4000 RTP/AVP 0 97', 'a=rtpmap:97 CN/8000'));
    const formats = formatsToOffer(session, AUDIO_CODECS);
    const lines = writeOffer(end, session, formats).split('\r\n');
    expect(lines).toContain('a=rtpmap:97 CN/8000');
    const types = lines
      .find((line) => line.startsWith('m='))!
      .split(' ')
      .slice(3);
    expect(new Set(types).size).toBe(types.length);
    expect(writeOffer(end, undefined, formatsToOffer(undefined, AUDIO_CODECS))).not.toContain('CN/');
  });

  it('tolerates comfort noise on any payload type', () => {
    const { session } = negotiate(sdp('m=audio 4000 RTP/AVP 0 13 105', 'a=rtpmap:105 CN/16000'));
    expect([...session.comfortNoise]).toEqual([13, 105]);
  });
});

describe('SDES', () => {
  const inline = (name: string): string => writeInlineKey(createMasterKey(findSrtpSuite(name)!));
  const CM = 'AES_CM_128_HMAC_SHA1_80';
  const GCM = 'AEAD_AES_128_GCM';

  it('takes the first supported suite, and answers its tag with a key of its own', () => {
    const offered = inline(GCM);
    const { session, lines } = negotiate(
      sdp(
        'm=audio 4000 RTP/SAVP 0',
        `a=crypto:1 F8_128_HMAC_SHA1_80 ${inline(CM)}`,
        `a=crypto:2 ${GCM} ${offered}`,
        `a=crypto:3 ${CM} ${inline(CM)}`,
      ),
    );
    expect(session.crypto?.tag).toBe(2);
    const own = writeInlineKey(keys.get(findSrtpSuite(GCM)!)!);
    expect(lines).toContain(`a=crypto:2 ${GCM} ${own}`);
    expect(own).not.toBe(offered);
    expect(lines).toContain('m=audio 20000 RTP/SAVP 0');
  });

  it('prefers the encrypted of two audio m-lines', () => {
    const { lines } = negotiate(
      sdp('m=audio 4000 RTP/AVP 0', 'm=audio 4002 RTP/SAVP 0', `a=crypto:1 ${CM} ${inline(CM)}|2^20`),
    );
    expect(lines.filter((line) => line.startsWith('m='))).toEqual([
      'm=audio 0 RTP/AVP 0',
      'm=audio 20000 RTP/SAVP 0',
    ]);
  });

  it('falls back to the plain one when it supports none of the suites', () => {
    const { session } = negotiate(
      sdp('m=audio 4002 RTP/SAVP 0', 'a=crypto:1 NULL_SUITE inline:AAAA', 'm=audio 4000 RTP/AVP 0'),
    );
    expect(session.crypto).toBeUndefined();
  });

  it('reads a suite in lower case, with white space', () => {
    const line = `a=crypto: 1  ${CM.toLowerCase()}\t${inline(CM)}`;
    expect(negotiate(sdp('m=audio 4000 rtp/savp 0', line)).session.crypto?.suite.name).toBe(CM);
  });

  it('ignores a key with parameters that change the transform, but accepts hints', () => {
    const line = `a=crypto:1 ${CM} ${inline(CM)}`;
    expect(codeOf(sdp('m=audio 4000 RTP/SAVP 0', `${line} UNENCRYPTED_SRTP`))).toBe('NO_COMMON_CODEC');
    expect(codeOf(sdp('m=audio 4000 RTP/SAVP 0', `${line} WSH=64`))).toBe('none');
  });

  it('offers the suite in use when it makes the offer in a call', () => {
    const { session } = negotiate(sdp('m=audio 4000 RTP/SAVP 0', `a=crypto:5 ${CM} ${inline(CM)}`));
    const offer = writeOffer(end, session, formatsToOffer(session, AUDIO_CODECS));
    expect(offer).toMatch(/m=audio 20000 RTP\/SAVP 0 /);
    expect(offer).toContain(`a=crypto:5 ${CM} ${writeInlineKey(keys.get(findSrtpSuite(CM)!)!)}`);
  });
});
