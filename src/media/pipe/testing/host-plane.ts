import { createMixing } from '../../audio/index.js';
import { LocalCrossings } from '../../crossing/index.js';
import { FileEndpoint, SampleFiles } from '../../files/index.js';
import { ProgramEndpoint } from '../../program/index.js';
import { silentLog } from '../../../shared/testing/index.js';
import { BrowserEndpoint } from '../../browser/index.js';
import { FanoutTable } from '../../browser/forward/fanout.js';
import { FakeTransports } from '../../browser/testing/fake-transports.js';
import { createPhoneFactory } from '../../phone/index.js';
import { LocalMediaPlane } from '../../plane.js';
import type { MediaPlaneOptions } from '../../types.js';

const OPTIONS: MediaPlaneOptions = {
  rtpHost: '127.0.0.1',
  rtpPorts: [30000, 39999],
  webrtcHost: '127.0.0.1',
  webrtcPort: 0,
  mediaTimeoutMs: 30_000,
};

/** The media plane of a host, with browsers that a test plays by {@link FakeTransports}. */
export class HostPlane extends LocalMediaPlane {
  readonly transports: FakeTransports;

  /** @param pipeHost where it takes streams of other gateways; absent: nowhere */
  constructor(pipeHost?: string) {
    const transports = new FakeTransports();
    const fanouts = new FanoutTable();
    const mixing = createMixing(silentLog);
    const phones = createPhoneFactory(OPTIONS, mixing);
    const files = new SampleFiles();
    super(OPTIONS, silentLog, {
      browser: (context, spec) =>
        Promise.resolve(
          new BrowserEndpoint(context, spec, { transports, fanouts, onReportIgnored: () => undefined }),
        ),
      phone: (context, before) => phones.open(context, before),
      program: (context, spec) => Promise.resolve(new ProgramEndpoint(context, spec, mixing)),
      file: (context, spec) => FileEndpoint.open(context, spec, mixing, files),
      load: () => mixing.clock.load(),
      sendToPhonesFor: (ms) => phones.sendToPhonesFor(ms),
      counters: () => phones.counters(),
      stop: () => phones.stop(),
      crossings: (streams) =>
        pipeHost === undefined ? undefined : new LocalCrossings(pipeHost, { streams, log: silentLog }),
    });
    this.transports = transports;
  }
}
