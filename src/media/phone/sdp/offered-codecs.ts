import { findStaticAudioCodec } from '../../codecs/index.js';
import { MediaError } from '../../types.js';
import { readRemoteDescription, type RemoteFormat } from './remote-description.js';

/** Most names that are listed, which is enough for people. */
const MAX_NAMES = 16;
const MAX_NAME_LENGTH = 32;

/** Static payload types (RFC 3551 section 6) that phones still offer, but that the gateway has no codec for. */
const OTHER_STATIC = new Map([
  [3, 'GSM'],
  [4, 'G723'],
  [18, 'G729'],
]);

/** Names of the audio codecs in a phone's offer, without DTMF events and comfort noise; empty if it cannot be read. */
export function offeredAudioCodecs(sdp: string): readonly string[] {
  try {
    const formats = readRemoteDescription(sdp)
      .sections.filter(({ kind }) => kind === 'audio')
      .flatMap((section) => section.formats);
    const names = formats.map(nameOf).filter((name) => !/^(?:telephone-event|CN)$/i.test(name));
    return [...new Set(names)].slice(0, MAX_NAMES);
  } catch (error) {
    if (error instanceof MediaError) return [];
    throw error;
  }
}

function nameOf({ name, payloadType }: RemoteFormat): string {
  if (name !== '') return name.slice(0, MAX_NAME_LENGTH);
  return (
    findStaticAudioCodec(payloadType)?.name ?? OTHER_STATIC.get(payloadType) ?? `payload type ${payloadType}`
  );
}
