import { silentLog } from '../../../shared/testing/index.js';
import { LocalMediaPlane } from '../../plane.js';
import type { DeviceStatistics, MediaPlaneOptions } from '../../types.js';
import { createMixing } from '../../audio/index.js';
import { FileEndpoint, SampleFiles } from '../../files/index.js';
import { ProgramEndpoint } from '../../program/index.js';
import { createPhoneFactory } from '../index.js';
import type { PhoneEndpoint } from '../phone-endpoint.js';

/** A media plane with phones only, which can be asked for their statistics at any time. */
export class PhonePlane extends LocalMediaPlane {
  readonly #endpoints: ReadonlyMap<string, PhoneEndpoint>;

  constructor(options: Partial<MediaPlaneOptions> = {}) {
    const all: MediaPlaneOptions = {
      rtpHost: '127.0.0.1',
      rtpPorts: [30000, 39999],
      webrtcHost: '127.0.0.1',
      webrtcPort: 0,
      mediaTimeoutMs: 30_000,
      ...options,
    };
    const mixing = createMixing(silentLog);
    const phones = createPhoneFactory(all, mixing);
    const files = new SampleFiles();
    const endpoints = new Map<string, PhoneEndpoint>();
    super(all, silentLog, {
      browser: () => Promise.reject(new Error('no browsers here')),
      program: (context, spec) => Promise.resolve(new ProgramEndpoint(context, spec, mixing)),
      file: (context, spec) => FileEndpoint.open(context, spec, mixing, files),
      phone: async (context, before) => {
        const endpoint = await phones.open(context, before);
        endpoints.set(context.deviceId, endpoint);
        return endpoint;
      },
      load: () => mixing.clock.load(),
      sendToPhonesFor: (ms) => phones.sendToPhonesFor(ms),
      counters: () => phones.counters(),
      stop: () => phones.stop(),
    });
    this.#endpoints = endpoints;
  }

  /** The present statistics of an opened device. */
  statistics(deviceId: string): DeviceStatistics {
    return this.#endpoints.get(deviceId)!.statistics();
  }
}
