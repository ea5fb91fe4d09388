import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RpcError } from './json-rpc.js';
import { readAnswerSdp, readOfferSdp } from './messages.js';
import { publishMetadata } from './stream-metadata.js';

/** Values that JSON.parse can return, similar enough to an offer that each check is reached. */
const params = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      sdpOffer: fc.oneof(fc.string(), fc.jsonValue()),
      sdpAnswer: fc.oneof(fc.string(), fc.jsonValue()),
      mediaMetadata: fc.oneof(
        fc.jsonValue(),
        fc.record({
          mediaStreams: fc.oneof(
            fc.jsonValue(),
            fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.record({ alias: fc.jsonValue() }))),
          ),
        }),
      ),
    },
    { requiredKeys: [] },
  ),
);

describe('the parameters of calls', () => {
  it('are read or refused with an RpcError, whatever they are', () => {
    let read = 0;
    fc.assert(
      fc.property(params, (given) => {
        try {
          const { sdpOffer, streams } = readOfferSdp(given);
          read += 1;
          expect(sdpOffer).not.toBe('');
          expect(Object.keys(publishMetadata({ streams: [], refused: [] }, streams, 'p'))).toHaveLength(
            streams.size,
          );
        } catch (error) {
          if (!(error instanceof RpcError)) throw error;
        }
        try {
          expect(typeof readAnswerSdp(given)).toBe('string');
        } catch (error) {
          if (!(error instanceof RpcError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
    expect(read).toBeGreaterThan(0);
  });

  it('are refused with too many streams, or with names that are too long', () => {
    const offer = (mediaStreams: object) => () =>
      readOfferSdp({ sdpOffer: 'o', mediaMetadata: { mediaStreams } });
    const many = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [String(index), {}]));
    expect(offer(many)).toThrow(RpcError);
    expect(offer({ ['x'.repeat(257)]: {} })).toThrow(RpcError);
    expect(offer({ x: { alias: 'x'.repeat(1025) } })).toThrow(RpcError);
  });
});
