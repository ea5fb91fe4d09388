import { inNetworks } from '../../shared/index.js';
import { audioCodecsNamed } from '../codecs/index.js';
import type { EndpointContext } from '../endpoint.js';
import type { Mixing } from '../audio/index.js';
import { NO_COUNTERS, sumOfCounters } from '../counters.js';
import type { MediaCounters, PhoneMediaEvent } from '../door.js';
import type { MediaPlaneOptions } from '../types.js';
import { PhoneEndpoint } from './phone-endpoint.js';
import type { PhoneBefore } from './phone-state.js';
import { PortRange } from './ports.js';

export { PhoneEndpoint } from './phone-endpoint.js';
export { type PhoneBefore, readPhoneState } from './phone-state.js';
export { type Direction, reverse } from '../sdp/index.js';
export { RtcpSession, type RtcpSource } from './rtcp-session.js';
export { MAX_SDP, offeredAudioCodecs } from './sdp/remote-description.js';

/** Opens phones; they share one mix clock, one decoder for each stream and rate, and the range of ports. */
interface PhoneFactory {
  /** @param before the phone in the process that died, whose media go on here */
  open(context: EndpointContext<PhoneMediaEvent>, before?: PhoneBefore): Promise<PhoneEndpoint>;
  /** See `MediaPlane.sendToPhonesFor`. */
  sendToPhonesFor(ms: number): void;
  counters(): MediaCounters;
  /** Closes the phones that are still open. */
  stop(): Promise<void>;
}

/** Makes the phone part of a media plane; binds nothing until a phone is described. */
export function createPhoneFactory(options: MediaPlaneOptions, { clock, groups }: Mixing): PhoneFactory {
  const ports = new PortRange(options.rtpPorts, options.rtpShare);
  const codecs = audioCodecsNamed(options.phoneCodecs);
  const isAsymmetric = inNetworks(options.asymmetricRtp ?? []);
  const endpoints = new Set<PhoneEndpoint>();
  let sendUntil = Infinity;
  const maySendToPhones = (nowMs: number): boolean => nowMs < sendUntil;
  /** Counters of the endpoints that are closed. */
  let past: MediaCounters = NO_COUNTERS;
  const close = (endpoint: PhoneEndpoint): void => {
    if (endpoints.delete(endpoint)) past = sumOfCounters(past, endpoint.counters);
  };
  return {
    open(context, before) {
      const endpoint: PhoneEndpoint = new PhoneEndpoint({
        context,
        ports,
        clock,
        groups,
        codecs,
        maySendToPhones,
        isAsymmetric,
        before,
        onClosed: () => close(endpoint),
      });
      endpoints.add(endpoint);
      return Promise.resolve(endpoint);
    },
    sendToPhonesFor: (ms) => void (sendUntil = performance.now() + ms),
    counters: () => [...endpoints].reduce((total, endpoint) => sumOfCounters(total, endpoint.counters), past),
    async stop() {
      await Promise.all([...endpoints].map((endpoint) => endpoint.close()));
    },
  };
}
