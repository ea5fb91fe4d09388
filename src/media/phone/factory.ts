import { inNetworks } from '../../shared/index.js';
import { audioCodecsNamed } from '../codecs/index.js';
import type { DeviceContext, PhoneDevice } from '../device.js';
import { DecoderPool, MixClock } from '../audio/index.js';
import type { MediaCounters, MediaLoad, MediaPlaneOptions } from '../types.js';
import { PhoneLeg } from './phone-leg.js';
import { PortRange } from './ports.js';

/** Opens phones; they share one mix clock, one decoder for each stream and rate, and the range of ports. */
interface PhoneFactory {
  open(context: DeviceContext): Promise<PhoneDevice>;
  load(): MediaLoad;
  counters(): MediaCounters;
  /** Closes the phones that are still open. */
  stop(): Promise<void>;
}

/** Makes the phone part of a media plane; binds nothing until a phone is described. */
export function createPhoneFactory(options: MediaPlaneOptions): PhoneFactory {
  const ports = new PortRange(options.rtpPorts);
  const pool = new DecoderPool();
  const codecs = audioCodecsNamed(options.phoneCodecs);
  const isAsymmetric = inNetworks(options.asymmetricRtp ?? []);
  const clock = new MixClock({
    onError: (error) => options.log.error({ err: error }, 'a phone could not be served'),
  });
  const legs = new Set<PhoneLeg>();
  /** Of legs that are closed. */
  let past: MediaCounters = { strangers: 0, framesWithheld: 0 };
  const close = (leg: PhoneLeg): void => {
    if (legs.delete(leg)) past = sum(past, leg.counters);
  };
  return {
    open(context) {
      const leg: PhoneLeg = new PhoneLeg({
        context,
        ports,
        clock,
        pool,
        codecs,
        isAsymmetric,
        onClosed: () => close(leg),
      });
      legs.add(leg);
      return Promise.resolve(leg);
    },
    load: () => clock.load(),
    counters: () => [...legs].reduce((total, leg) => sum(total, leg.counters), past),
    async stop() {
      await Promise.all([...legs].map((leg) => leg.close()));
    },
  };
}

function sum(a: MediaCounters, b: MediaCounters): MediaCounters {
  return { strangers: a.strangers + b.strangers, framesWithheld: a.framesWithheld + b.framesWithheld };
}
