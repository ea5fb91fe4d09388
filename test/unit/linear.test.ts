import { expect, it } from 'vitest';
import * as schemas from '../../src/api/schemas/index.js';
import { fromCircular, speaksCircularJson, toCircular } from '../../src/devices/browser/json-rpc.js';
import { parseSocketRequest } from '../../src/devices/browser/browser-server.js';
import { parseProgramRequest } from '../../src/devices/program/program-server.js';
import * as freeswitchSdp from '../../src/devices/phone/freeswitch/sdp.js';
import { parseStatus } from '../../src/devices/phone/freeswitch/server.js';
import { AUDIO_CODECS } from '../../src/media/codecs/index.js';
import { agreeOn, chooseAudio } from '../../src/media/phone/sdp/audio-session.js';
import { readRemoteDescription } from '../../src/media/phone/sdp/remote-description.js';
import { readInlineKey, SRTP_SUITES } from '../../src/media/srtp/index.js';
import { calledAndCaller, firstAddress, shownHeaders } from '../../src/devices/phone/caller.js';
import { inNetworks } from '../../src/shared/index.js';
import { digitOfInfo } from '../../src/devices/phone/dialog/dtmf-info.js';
import { agreedTerms } from '../../src/devices/phone/dialog/session-terms.js';
import { transferTarget } from '../../src/devices/phone/dialog/transfer.js';
import { lists, quoted, sdpOf } from '../../src/devices/phone/sip.js';
import { FakeRequest } from '../../src/devices/phone/testing/fakes.js';
import { tokensInUri, tokensOf, uriParts } from '../../src/devices/phone/tokens/authenticate.js';
import { tokensInUserToUser } from '../../src/devices/phone/tokens/user-to-user.js';
import { readDecision } from '../../src/sip-server/routing/decision.js';
import { expectLinear } from '../support/growth.js';

const request = (name: string, value: string, body = ''): FakeRequest =>
  new FakeRequest('INVITE', { uri: value, headers: { [name]: value }, body });

const sdp = (line: string): string =>
  `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n${line}\r\n`;

function describe(text: string): unknown {
  const section = chooseAudio(readRemoteDescription(text)).section;
  return agreeOn(section);
}

function bridge(text: string): unknown {
  const { directionOf, firstCodec, hasTelephoneEvent, isEncrypted, preferring, withAddress, withDirection } =
    freeswitchSdp;
  const changed = preferring(withAddress(withDirection(text, 'sendonly'), '::1'), firstCodec(text));
  return [
    directionOf(text),
    hasTelephoneEvent(text),
    isEncrypted(text),
    freeswitchSdp.hasUsableAudio(text),
    changed,
    freeswitchSdp.nothingYet(text),
  ];
}

/** Whatever takes network text apart, outside of the SIP server, which has such a test of its own. */
const READERS: Record<string, (text: string) => unknown> = {
  'a display name': firstAddress,
  From: (text) => calledAndCaller(request('from', text), inNetworks([])),
  To: (text) => calledAndCaller(request('to', text), inNetworks([])),
  'a header that is shown': (text) => shownHeaders(request('x-a', text), ['X-A']),
  'a peer’s address': (text) => inNetworks(['10.0.0.0/8'])(text),
  'a URI': uriParts,
  'the tokens of a URI': tokensInUri,
  'User-to-User': tokensInUserToUser,
  'the tokens of an INVITE': (text) =>
    tokensOf(request('x-participant-token', text), ['X-Participant-Token']),
  'Refer-To': (text) => transferTarget(request('refer-to', text)),
  'Session-Expires': (text) => agreedTerms(request('session-expires', text), { wantedS: 90, leastS: 90 }),
  Supported: (text) => lists(request('supported', text), 'supported', 'timer'),
  DTMF: (text) =>
    digitOfInfo(
      new FakeRequest('INFO', { headers: { 'content-type': 'application/dtmf-relay' }, body: text }),
    ),
  'a Content-Type': (text) => sdpOf(request('content-type', text, 'x')),
  'a text that is quoted': quoted,
  'a description': describe,
  'the lines of a description': (text) => describe(sdp(text)),
  'the formats of a description': (text) => describe(sdp('').replace('0 8', text)),
  fmtp: (text) => describe(sdp(`a=fmtp:0 ${text}`)),
  crypto: (text) => describe(sdp(`a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${text}`)),
  'a key': (text) => readInlineKey(SRTP_SUITES[0]!, `inline:${text}`),
  'the rate of Opus': (text) => AUDIO_CODECS.map((codec) => codec.mixRate(text)),
  'a description for FreeSWITCH': (text) => bridge(sdp(text)),
  'the formats of a description for FreeSWITCH': (text) => bridge(sdp('').replace('0 8', text)),
  'FreeSWITCH’s status': parseStatus,
  'a router’s answer': (text) => readDecision({ action: 'redirect', data: { contact: text } }),
  'a page’s version': speaksCircularJson,
  'a page’s message': (text) => [fromCircular(text), toCircular(text)],
  'the URL of a socket': (text) => parseSocketRequest(`/v3/?${text}`),
  'the URL of a program': (text) => parseProgramRequest({ url: `/program/?${text}`, headers: {} }),
  'the header of a program': (text) =>
    parseProgramRequest({ url: '/program/', headers: { authorization: text } }),
};

it.each(Object.entries(READERS))('%s: in time by the length', (_name, work) => expectLinear(work), 60_000);

/** Every `pattern` of a JSON schema: lint does not see them. */
function patternsIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]) =>
    key === 'pattern' && typeof value === 'string' ? [value] : patternsIn(value),
  );
}

it('the patterns of REST fields: in time by the length', () => {
  const patterns = [...new Set(patternsIn({ ...schemas }))];
  expect(patterns.length).toBeGreaterThan(2);
  for (const pattern of patterns) {
    const compiled = new RegExp(pattern, 'u');
    expectLinear((text) => compiled.test(text));
  }
});
