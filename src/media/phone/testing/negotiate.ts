import { createMasterKey, type MasterKey, SRTP_SUITES, type SrtpSuite } from '../../srtp/index.js';
import { MediaError } from '../../types.js';
import { agreeOn, type AudioSession, chooseAudio } from '../sdp/audio-session.js';
import { type LocalEnd, writeAnswer } from '../sdp/local-description.js';
import { readRemoteDescription } from '../sdp/remote-description.js';

export const keys = new Map<SrtpSuite, MasterKey>(
  SRTP_SUITES.map((suite) => [suite, createMasterKey(suite)]),
);
export const end: LocalEnd = {
  address: '192.0.2.1',
  port: 20000,
  sessionId: '7',
  version: 1,
  keyFor: (suite) => keys.get(suite)!,
};

/** Session-level lines of a phone's description. */
export const HEAD = ['v=0', 'o=- 1 1 IN IP4 198.51.100.7', 's=-', 'c=IN IP4 198.51.100.7', 't=0 0'];
export const sdp = (...lines: string[]): string => [...HEAD, ...lines, ''].join('\r\n');

/** Answers an offer. */
export function negotiate(offer: string): { session: AudioSession; answer: string; lines: string[] } {
  const description = readRemoteDescription(offer);
  const choice = chooseAudio(description);
  const session = agreeOn(choice.section);
  const answer = writeAnswer(end, description, choice, session);
  return { session, answer, lines: answer.split('\r\n') };
}

/** The code of the error with which an offer is refused; `none` when it is answered. */
export function codeOf(offer: string): string {
  try {
    negotiate(offer);
    return 'none';
  } catch (error) {
    if (error instanceof MediaError) return error.code;
    throw error;
  }
}
