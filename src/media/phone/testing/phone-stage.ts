import { afterEach, beforeEach } from 'vitest';
import type { PhoneHandle, PhoneMediaEvent } from '../../door.js';
import type { MediaPlaneOptions, PhoneDescription, PhoneSpec } from '../../types.js';
import { toneLevel } from './spectrum.js';
import { TestPhone } from './test-phone.js';
import { PhonePlane } from './test-plane.js';

/** A tone counts as heard from half of its level on. */
const LOUD = 0.12;

type PhoneOptions = Parameters<typeof TestPhone.open>[0];

/** A media plane and phones that call it, for the tests of one file; all closed after each test. */
interface PhoneStage {
  readonly plane: PhonePlane;
  /** The events of the devices, in order. */
  readonly events: (PhoneMediaEvent & { deviceId: string })[];
  /** Replaces the plane by one with other options. */
  restart(options: Partial<MediaPlaneOptions>): Promise<void>;
  phone(options?: PhoneOptions): Promise<TestPhone>;
  /** Opens a device in the plane. */
  open(deviceId: string, sdpOffer?: string, spec?: Partial<PhoneSpec>): Promise<PhoneDescription>;
  /** Opens a device that another plane had. */
  restore(deviceId: string, restored: NonNullable<PhoneSpec['restored']>): Promise<PhoneDescription>;
  /** The handle of an opened device. */
  handle(deviceId: string): PhoneHandle;
  /** Calls the plane as a device. @returns the id of the stream that the phone publishes */
  call(deviceId: string, phone: TestPhone, lines?: readonly string[]): Promise<string>;
  /** `alice` and `bob`, in calls; bob is delivered what alice says. */
  aliceAndBob(options?: PhoneOptions): Promise<{ alice: TestPhone; bob: TestPhone; aliceStream: string }>;
  deliver(deviceId: string, streamId: string): Promise<void>;
  /** Waits until a phone hears a tone in what came since a time. */
  hears(phone: TestPhone, hertz: number, since?: number): Promise<void>;
}

/** Call it at the top of a `describe`. */
export function usePhoneStage(): PhoneStage {
  const phones: TestPhone[] = [];
  const handles = new Map<string, PhoneHandle>();
  const events: PhoneStage['events'] = [];
  let plane: PhonePlane;

  beforeEach(() => {
    plane = new PhonePlane();
    events.length = 0;
  });
  afterEach(async () => {
    await Promise.all(phones.splice(0).map((phone) => phone.close()));
    await plane.stop();
  });

  const opened = (spec: PhoneSpec): Promise<PhoneDescription> => {
    const { deviceId } = spec;
    const handle = plane.open(spec, (event) => void events.push({ ...event, deviceId }));
    handles.set(deviceId, handle);
    return handle.opened;
  };
  const stage: PhoneStage = {
    get plane() {
      return plane;
    },
    events,
    async restart(options) {
      await plane.stop();
      plane = new PhonePlane(options);
    },
    async phone(options) {
      const phone = await TestPhone.open(options);
      phones.push(phone);
      return phone;
    },
    open: (deviceId, sdpOffer, spec) =>
      opened({ ...spec, kind: 'phone', deviceId, ...(sdpOffer !== undefined && { sdpOffer }) }),
    restore: (deviceId, restored) => opened({ kind: 'phone', deviceId, restored }),
    handle: (deviceId) => handles.get(deviceId)!,
    async call(deviceId, phone, lines) {
      const { sdp, stream } = await stage.open(deviceId, phone.offer(lines));
      phone.callTo(sdp);
      return stream!.streamId;
    },
    async aliceAndBob(options) {
      const [alice, bob] = [await stage.phone(options), await stage.phone()];
      const aliceStream = await stage.call('alice', alice);
      await stage.call('bob', bob);
      await stage.deliver('bob', aliceStream);
      return { alice, bob, aliceStream };
    },
    deliver(deviceId, streamId) {
      return stage.handle(deviceId).setDelivery([{ streamId, kinds: ['audio'] }]);
    },
    async hears(phone, hertz, since = 0) {
      const rate = phone.codec.mixRate();
      await phone.until(() => {
        const pcm = phone.heardSince(since);
        return pcm.length >= rate / 5 && toneLevel(pcm.slice(-rate / 5), rate, hertz) > LOUD;
      });
    },
  };
  return stage;
}
