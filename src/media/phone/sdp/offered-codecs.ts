import { findStaticAudioCodec } from '../../codecs/index.js';
import { MediaError } from '../../types.js';
import { readRemoteDescription, type RemoteFormat } from './remote-description.js';

/** For people to read: of what a phone offers, this much tells them enough. */
const MAX_NAMES = 16;
const MAX_NAME_LENGTH = 32;

/** Of static payload types (RFC 3551 section 6) that the gateway has no codec for, the ones that phones still offer. */
const OTHER_STATIC = new Map([
  [3, 'GSM'],
  [4, 'G723'],
  [18, 'G729'],
]);

/** Names of the audio codecs in a phone's offer, DTMF events and comfort noise left out; empty when it cannot be read. */
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
