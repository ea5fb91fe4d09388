export { bestLag } from './concealer.js';
export { MAX_PACKET_MS, toTrackCodec } from './codec.js';
export type { AudioCodec, AudioDecoder, AudioEncoder, SampleRate } from './codec.js';
export { VIDEO_CODECS } from './registry.js';
export { AUDIO_CODECS, audioCodecsNamed, findAudioCodec, findStaticAudioCodec } from './registry.js';
