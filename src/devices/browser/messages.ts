import { isObject, RpcError } from './json-rpc.js';

/** The streams of a publish offer: alias by msid stream id; undefined for a stream without alias. */
export type OfferedStreams = ReadonlyMap<string, string | undefined>;

/** Parameters of `offerSdp`. */
interface OfferSdp {
  readonly sdpOffer: string;
  readonly streams: OfferedStreams;
}

/** A media type as the clients write it. */
export type WireMediaType = 'AUDIO' | 'VIDEO';

/** What clients are told about a stream. */
export interface StreamMetadata {
  readonly endpointId: string;
  readonly mediaTypes: readonly WireMediaType[];
  readonly alias?: string;
  readonly participantId: string;
  /** For publishers: the tracks of the stream that were refused. */
  readonly omitted?: readonly { readonly mediaType: WireMediaType; readonly reason: string }[];
}

/** Keyed by msid stream id. */
export type StreamMetadataMap = Readonly<Record<string, StreamMetadata>>;

const MAX_STREAMS = 64;
const MAX_MSID_LENGTH = 256;
const MAX_ALIAS_LENGTH = 1024;

/** @throws RpcError invalidParams */
export function readOfferSdp(params: unknown): OfferSdp {
  const { sdpOffer, mediaMetadata } = asObject(params, 'params');
  return { sdpOffer: asText(sdpOffer, 'sdpOffer'), streams: readStreams(mediaMetadata) };
}

/** @throws RpcError invalidParams */
export function readAnswerSdp(params: unknown): string {
  return asText(asObject(params, 'params')['sdpAnswer'], 'sdpAnswer');
}

function readStreams(mediaMetadata: unknown): OfferedStreams {
  const { mediaStreams } = asObject(mediaMetadata ?? {}, 'mediaMetadata');
  const entries = Object.entries(asObject(mediaStreams ?? {}, 'mediaStreams'));
  if (entries.length > MAX_STREAMS) {
    throw new RpcError('invalidParams', `At most ${String(MAX_STREAMS)} streams can be published.`);
  }
  return new Map(
    entries.map(([msid, about]) => {
      if (msid.length > MAX_MSID_LENGTH)
        throw new RpcError('invalidParams', `A stream id has at most ${String(MAX_MSID_LENGTH)} characters.`);
      return [msid, readAlias(asObject(about ?? {}, 'mediaStreams entry')['alias'])];
    }),
  );
}

function readAlias(alias: unknown): string | undefined {
  if (alias === undefined || alias === null || alias === '') return undefined;
  const text = asText(alias, 'alias');
  if (text.length <= MAX_ALIAS_LENGTH) return text;
  throw new RpcError('invalidParams', `An alias has at most ${String(MAX_ALIAS_LENGTH)} characters.`);
}

function asObject(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (isObject(value)) return value;
  throw new RpcError('invalidParams', `${name} must be an object.`);
}

function asText(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new RpcError('invalidParams', `${name} must be a non-empty string.`);
}
