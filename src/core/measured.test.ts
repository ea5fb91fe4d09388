import { describe, expect, it } from 'vitest';
import type { Core, CoreEvents } from './core.js';
import { ACCOUNT, connectTalking, coreForTests, FakeDevice, newParticipant } from './testing/index.js';

const quality = (packets: number) => ({ received: { packets }, sent: { packets } });

function eventsOf<N extends keyof CoreEvents>(core: Core, name: N): CoreEvents[N][0][] {
  const events: CoreEvents[N][0][] = [];
  core.on(name, (event: CoreEvents[N][0]) => void events.push(event));
  return events;
}

describe('what is measured of a device', () => {
  it('is shown, is part of its end, and is told once more when all is known', () => {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const [left, measured] = [eventsOf(core, 'left'), eventsOf(core, 'measured')];
    const { connection } = connectTalking(core, ann);
    expect(core.device(ACCOUNT, ann)).not.toHaveProperty('quality');
    connection.measured(quality(1));
    connection.measured(quality(2));
    expect(core.device(ACCOUNT, ann)?.quality).toEqual(quality(2));
    connection.end('left');
    expect(left).toMatchObject([{ quality: quality(2) }]);
    expect(measured).toEqual([]);
    connection.measured(quality(3));
    connection.measured(quality(4));
    expect(measured).toMatchObject([{ participant: { id: ann }, quality: quality(3) }]);
  });

  it('is absent from the end of one that was not measured', () => {
    const { core } = coreForTests();
    const left = eventsOf(core, 'left');
    connectTalking(core, newParticipant(core)).connection.end('left');
    expect(left[0]).not.toHaveProperty('quality');
  });
});

describe('who speaks', () => {
  function talking() {
    const { core } = coreForTests();
    const ann = newParticipant(core);
    const speaking = eventsOf(core, 'speaking');
    const connection = core.connect(ann, new FakeDevice('call', 'phone'), { replace: false });
    const publish = (...streamIds: string[]) =>
      connection.publish(
        streamIds.map((streamId) => ({ streamId, alias: `alias of ${streamId}`, mediaTypes: ['audio'] })),
      );
    const streams = () => core.device(ACCOUNT, ann)?.streams;
    return { connection, publish, speaking, streams };
  }

  it('is told when it changes, with the stream and its level', () => {
    const { connection, publish, speaking, streams } = talking();
    publish('first', 'second');
    connection.speaking('second', false);
    expect(speaking).toEqual([]);
    connection.speaking('second', true, -23.456);
    connection.speaking('second', true, -20);
    expect(speaking).toMatchObject([
      { streamId: 'second', alias: 'alias of second', isSpeaking: true, levelDb: -23.5 },
    ]);
    const [first, second] = streams()!;
    expect(first).not.toHaveProperty('isSpeaking');
    expect(second).toMatchObject({ streamId: 'second', isSpeaking: true, levelDb: -23.5 });
    connection.speaking('second', false);
    expect(speaking).toHaveLength(2);
    // How loud it was last.
    expect(streams()![1]).toMatchObject({ isSpeaking: false, levelDb: -23.5 });
  });

  it('is not told of streams that the device does not publish', () => {
    const { connection, publish, speaking } = talking();
    connection.speaking('first', true);
    publish('second');
    connection.speaking('first', true);
    expect(speaking).toEqual([]);
  });

  it('is forgotten with the stream, and kept while others come and go', () => {
    const { connection, publish, streams } = talking();
    publish('first', 'second');
    connection.speaking('first', true, -20);
    publish('first');
    expect(streams()![0]).toMatchObject({ isSpeaking: true, levelDb: -20 });
    publish('second');
    publish('first');
    expect(streams()![0]).not.toHaveProperty('isSpeaking');
  });
});
