import { afterEach, describe, expect, it } from 'vitest';
import { ACCOUNT } from '../core/testing/index.js';
import { announcementStage } from './testing/stage.js';

type Stage = Awaited<ReturnType<typeof announcementStage>>;
const stages: Stage[] = [];
async function start(...options: Parameters<typeof announcementStage>): Promise<Stage> {
  const stage = await announcementStage(...options);
  stages.push(stage);
  return stage;
}
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.stop();
});

const MUSIC = {
  waiting: { music: 'tone:music', when: ['no-session', 'alone', 'nobody-publishes'] as const },
};
const hears = ({ media }: Stage, device: { readonly info: { readonly id: string } }) =>
  media.heardBy(device.info.id);
/** Decides what is due, which happens when the present work is done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('waiting music', () => {
  it('is silence unless it is configured', async () => {
    const stage = await start();
    const { device } = stage.connect(stage.participant('ann'));
    await settled();
    expect(hears(stage, device)).toEqual([]);
    expect(stage.part.counts().decodings).toBe(0);
  });

  it('plays to a phone while it hears nobody, and stops when the first other stream comes', async () => {
    const stage = await start(MUSIC);
    const { core } = stage;
    const ann = stage.participant('ann');
    const { device } = stage.connect(ann);
    await expect.poll(() => hears(stage, device)).toMatchObject([{ times: 0 }]);
    const [file] = hears(stage, device);
    await expect.poll(() => device.receiving).toEqual([`stream-${file!.deviceId}`]);
    // It goes on while the reason changes.
    const session = core.createSession(ACCOUNT, {}).id;
    core.addToSession(ACCOUNT, session, ann, { sessionId: session });
    const bob = stage.member(session, 'bob');
    await settled();
    expect(hears(stage, device)).toEqual([file]);
    bob.connection.publish([{ streamId: 'bob', mediaTypes: ['audio'] }]);
    await settled();
    expect(hears(stage, device)).toEqual([]);
    expect(device.receiving).toEqual(['bob']);
    bob.connection.end('left');
    await settled();
    expect(hears(stage, device)).toHaveLength(1);
    // To the application it is no announcement.
    expect(stage.reports).toEqual([]);
  });

  it('plays in the configured cases only, and to phones only', async () => {
    const stage = await start({ waiting: { music: 'tone:music', when: ['alone'] } });
    const { core } = stage;
    const outside = stage.connect(stage.participant('outside'));
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = stage.member(session, 'ann');
    const page = stage.member(core.createSession(ACCOUNT, {}).id, 'page', 'browser');
    await expect.poll(() => hears(stage, ann.device)).toHaveLength(1);
    for (const { device } of [outside, page]) expect(hears(stage, device)).toEqual([]);
    stage.member(session, 'bob', 'browser');
    await settled();
    expect(hears(stage, ann.device)).toEqual([]);
  });

  it('is what the session says', async () => {
    const stage = await start(MUSIC);
    const { core } = stage;
    const none = core.createSession(ACCOUNT, { waitingMusic: { when: [] } }).id;
    const own = core.createSession(ACCOUNT, {
      waitingMusic: { mediaUrl: 'tone:ringback', when: ['alone'] },
    }).id;
    const [silent, rings] = [stage.member(none, 'silent'), stage.member(own, 'rings')];
    const usual = stage.member(core.createSession(ACCOUNT, {}).id, 'usual');
    await expect.poll(() => hears(stage, rings.device)).toHaveLength(1);
    await expect.poll(() => hears(stage, usual.device)).toHaveLength(1);
    expect(hears(stage, silent.device)).toEqual([]);
    expect(hears(stage, rings.device)[0]!.path).not.toBe(hears(stage, usual.device)[0]!.path);
    // Moved, it hears the other music.
    core.removeFromSession(ACCOUNT, own, rings.id);
    await settled();
    expect(hears(stage, rings.device)[0]!.path).toBe(hears(stage, usual.device)[0]!.path);
  });

  it('is played by sessions that ask for it where none is configured', async () => {
    const stage = await start();
    const session = stage.core.createSession(ACCOUNT, { waitingMusic: { when: ['alone'] } }).id;
    const ann = stage.member(session, 'ann');
    await expect.poll(() => hears(stage, ann.device)).toHaveLength(1);
    stage.member(session, 'bob');
    await settled();
    expect(hears(stage, ann.device)).toEqual([]);
  });

  it('makes room for an announcement, and goes on afterwards', async () => {
    const stage = await start(MUSIC);
    const ann = stage.participant('ann');
    const { device } = stage.connect(ann);
    await expect.poll(() => hears(stage, device)).toHaveLength(1);
    const [music] = hears(stage, device);
    stage.announcements.play(ACCOUNT, { participantId: ann }, { mediaUrl: 'tone:join' });
    await expect.poll(() => hears(stage, device).map(({ times }) => times)).toEqual([1]);
    const [prompt] = hears(stage, device);
    stage.finish(prompt!.deviceId);
    await settled();
    expect(hears(stage, device)).toMatchObject([{ times: 0, path: music!.path }]);
  });

  it('that cannot be played is tried again after a pause only', async () => {
    const stage = await start(MUSIC);
    stage.media.refuses = true;
    const ann = stage.participant('ann');
    const { device } = stage.connect(ann);
    await expect.poll(() => stage.media.specs).toHaveLength(1);
    await expect.poll(() => stage.media.closed).toHaveLength(1);
    stage.media.refuses = false;
    stage.core.addToSession(ACCOUNT, stage.core.createSession(ACCOUNT, {}).id, ann);
    await settled();
    expect(hears(stage, device)).toEqual([]);
    stage.clock.advance(60_001);
    stage.core.removeFromSession(ACCOUNT, stage.core.participant(ACCOUNT, ann).sessionId!, ann);
    await settled();
    expect(hears(stage, device)).toHaveLength(1);
  });
});

describe('tones for joining and leaving', () => {
  const loaded = async (stage: Stage): Promise<void> => {
    const device = stage.connect(stage.participant('first')).device;
    const id = stage.core.announcements.connected()[0]!;
    for (const mediaUrl of ['tone:join', 'tone:leave']) {
      stage.announcements.play(ACCOUNT, { participantId: id }, { mediaUrl });
      await expect.poll(() => hears(stage, device)).toHaveLength(1);
    }
    stage.core.deleteParticipant(ACCOUNT, id);
  };

  it('are heard by those who would hear the participant', async () => {
    const stage = await start({ joinTones: true });
    await loaded(stage);
    const { core, media } = stage;
    const session = core.createSession(ACCOUNT, {}).id;
    const ann = stage.member(session, 'ann');
    const deaf = stage.participant('deaf');
    core.addToSession(ACCOUNT, session, deaf);
    const deafDevice = stage.connect(deaf).device;
    await settled();
    media.specs.length = 0;
    const bob = stage.member(session, 'bob', 'browser');
    await settled();
    expect(media.specs.map(({ listenerId, times }) => [listenerId, times])).toEqual([
      [ann.device.info.id, 1],
    ]);
    const [join] = media.specs;
    // A device that takes the place of another tells nobody.
    media.specs.length = 0;
    stage.connect(bob.id, 'browser');
    await settled();
    expect(media.specs).toEqual([]);
    core.removeFromSession(ACCOUNT, session, bob.id);
    await settled();
    expect(media.specs.map(({ listenerId }) => listenerId)).toEqual([ann.device.info.id]);
    expect(media.specs[0]!.path).not.toBe(join!.path);
    // Nobody would hear one that may publish no audio.
    media.specs.length = 0;
    const mute = stage.participant('mute', []);
    core.addToSession(ACCOUNT, session, mute);
    stage.connect(mute);
    await settled();
    expect(media.specs).toEqual([]);
    expect(hears(stage, deafDevice)).toEqual([]);
    core.deleteSession(ACCOUNT, session);
    await settled();
    expect(media.specs).toEqual([]);
  });

  it('are off unless gateway or session say otherwise', async () => {
    const stage = await start();
    await loaded(stage);
    const { core, media } = stage;
    const [quiet, told] = [{}, { joinTones: true }].map((options) => core.createSession(ACCOUNT, options).id);
    const ann = [stage.member(quiet!, 'ann'), stage.member(told!, 'ann')];
    media.specs.length = 0;
    for (const session of [quiet!, told!]) stage.member(session, 'bob');
    await settled();
    expect(media.specs.map(({ listenerId }) => listenerId)).toEqual([ann[1]!.device.info.id]);
  });
});
