export { SoundError } from './chunk.js';
export type { DecodedSound, SoundInput } from './decode.js';
export { Decoder } from './decoder.js';
