export { MAX_PACKET_MS, meanSquare, toTrackCodec } from './codec.js';
export type {
  AudioCodec,
  AudioDecoder,
  AudioEncoder,
  LevelMeter,
  SampleRate,
  SpeechImpairment,
  SpeechScale,
} from './codec.js';
export { compressMuLaw, expandMuLaw } from './g711.js';
export { Upsampler } from './pcm-decoder.js';
export {
  AUDIO_CODECS,
  audioCodecsNamed,
  findAudioCodec,
  findStaticAudioCodec,
  VIDEO_CODECS,
} from './registry.js';
export { createOpusEncoder, OPUS } from './opus.js';
