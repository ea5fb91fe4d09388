import { beforeEach, describe, expect, it } from 'vitest';
import {
  ACCOUNT,
  codeOf,
  connectTalking,
  coreForTests,
  FakeDevice,
  newParticipant,
} from './testing/index.js';
import type { Core } from './core.js';

describe('noise suppression', () => {
  let core: Core;
  let session: string;

  const member = (noiseSuppression?: boolean): string => {
    const options = noiseSuppression === undefined ? {} : { noiseSuppression };
    const { participant } = core.createParticipant(ACCOUNT, { publishPermissions: ['audio'], ...options });
    core.addToSession(ACCOUNT, session, participant.id, { sessionId: session });
    return participant.id;
  };
  const listener = (): FakeDevice => {
    const id = newParticipant(core);
    core.addToSession(ACCOUNT, session, id, { sessionId: session });
    const device = new FakeDevice('listener');
    core.connect(id, device, { replace: false });
    return device;
  };
  /** The streams that are delivered without their noise. */
  const suppressed = (device: FakeDevice): string[] =>
    (device.deliveries.at(-1) ?? []).filter((s) => s.noiseSuppression === true).map((s) => s.streamId);
  const start = (parts: Parameters<typeof coreForTests>[0]): void => {
    ({ core } = coreForTests(parts));
    session = core.createSession(ACCOUNT, {}).id;
  };

  beforeEach(() => start({ limits: { noiseSuppressions: 2 } }));

  it('is in deliveries of whom REST gives it to, at once', () => {
    const [ann, bob] = [member(true), member()];
    const hears = listener();
    for (const id of [ann, bob]) connectTalking(core, id);
    expect(suppressed(hears)).toEqual([ann]);
    core.updateParticipant(ACCOUNT, bob, { noiseSuppression: true });
    expect(suppressed(hears)).toEqual([ann, bob]);
    core.updateParticipant(ACCOUNT, ann, { noiseSuppression: false });
    expect(suppressed(hears)).toEqual([bob]);
    const { length } = hears.deliveries;
    core.updateParticipant(ACCOUNT, bob, {});
    expect(hears.deliveries).toHaveLength(length);
  });

  it('is of the oldest stream with audio of a device', () => {
    const id = member(true);
    const hears = listener();
    const connection = core.connect(id, new FakeDevice('d'), { replace: false });
    const stream = (streamId: string) => ({ streamId, mediaTypes: ['audio'] as const });
    connection.publish([stream('first')]);
    connection.publish([stream('second'), stream('first')]);
    expect(suppressed(hears)).toEqual(['first']);
    connection.publish([stream('second')]);
    expect(suppressed(hears)).toEqual(['second']);
  });

  it('is refused to further participants until a place is given back', () => {
    const [ann] = [member(true), member(true)];
    const cat = member();
    const ask = (): void => core.updateParticipant(ACCOUNT, cat, { noiseSuppression: true });
    expect(codeOf(ask)).toBe('PATCHBAY_NOISE_SUPPRESSION_FULL');
    expect(codeOf(() => member(true))).toBe('PATCHBAY_NOISE_SUPPRESSION_FULL');
    expect(core.participant(ACCOUNT, cat).noiseSuppression).toBeUndefined();
    // Who has a place may be given it again.
    core.updateParticipant(ACCOUNT, ann, { noiseSuppression: true });
    core.deleteParticipant(ACCOUNT, ann);
    ask();
    expect(core.counts()).toMatchObject({ noiseSuppressions: 2, noiseSuppressionsRefused: 2 });
  });

  it('is of devices of the configured kinds while they are connected and a place is left', () => {
    start({ limits: { noiseSuppressions: 2 }, suppressedKinds: ['browser'] });
    const [ann, bob, cat] = [member(), member(false), member()];
    const hears = new FakeDevice('listener', 'phone');
    const id = newParticipant(core);
    core.addToSession(ACCOUNT, session, id, { sessionId: session });
    core.connect(id, hears, { replace: false });
    const [first] = [ann, bob, cat].map((participant) => connectTalking(core, participant));
    expect(suppressed(hears)).toEqual([ann, cat]);
    const dan = member();
    connectTalking(core, dan);
    expect(suppressed(hears)).toEqual([ann, cat]);
    first!.connection.end('left');
    expect(core.counts()).toMatchObject({ noiseSuppressions: 1, noiseSuppressionsRefused: 1 });
  });
});
