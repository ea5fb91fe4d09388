import { type Signal, useSignal, useSignalEffect } from '@preact/signals';
import type { RtcStream } from '@bandwidth/webrtc-browser';
import { useEffect, useMemo } from 'preact/hooks';
import { GatewayConnection, watchSockets } from './connection.js';
import { endedBy, type Failure, failureOf } from './failures.js';
import type { Brought } from './join.js';
import { Received } from './received.js';

interface CallOptions {
  readonly brought: Brought;
  /** What the page says of the connection. */
  readonly status: Signal<string>;
  /** @param why absent: left by this page's own button */
  readonly onEnd: (why?: Failure) => void;
}

/** A call, from connecting to its end. */
export function Call({ brought: { token, media }, status, onEnd }: CallOptions) {
  /** What the status was before the connection was lost. */
  const state = useSignal('Connecting …');
  const isLost = useSignal(false);
  useSignalEffect(() => {
    status.value = isLost.value ? 'The connection is lost. Reconnecting …' : state.value;
  });
  const granted = useSignal<readonly string[]>([]);
  const streams = useSignal<readonly RtcStream[]>([]);
  const connection = useMemo(
    () =>
      new GatewayConnection(token, {
        streamAvailable(stream) {
          const others = streams.value.filter(({ endpointId }) => endpointId !== stream.endpointId);
          streams.value = [...others, stream];
        },
        streamUnavailable(streamId) {
          streams.value = streams.value.filter(({ endpointId }) => endpointId !== streamId);
        },
      }),
    [],
  );
  useEffect(() => {
    let isOver = false;
    const end = (why?: Failure): void => {
      if (isOver) return;
      isOver = true;
      onEnd(why);
    };
    watchSockets({
      opened: () => (isLost.value = false),
      closed(final, reason) {
        if (final) end(endedBy(reason));
        else isLost.value = true;
      },
    });
    join(connection, media, state, granted).catch((error: unknown) => end(failureOf(error)));
    return () => {
      isOver = true;
      watchSockets(undefined);
      connection.close();
      for (const track of media?.getTracks() ?? []) track.stop();
    };
  }, []);
  return (
    <section id="call">
      <Controls connection={connection} granted={granted.value} onLeave={() => onEnd()} />
      <h2>Received streams</h2>
      <Received streams={streams.value} />
    </section>
  );
}

async function join(
  connection: GatewayConnection,
  media: MediaStream | undefined,
  status: Signal<string>,
  granted: Signal<readonly string[]>,
): Promise<void> {
  await connection.open();
  if (!media) {
    status.value = 'Connected, listening only.';
    return;
  }
  status.value = 'Connected.';
  const { mediaTypes } = await connection.publish(media);
  granted.value = mediaTypes;
  const published = mediaTypes.map((type) => type.toLowerCase()).join(' and ');
  status.value =
    published === '' ? 'Connected; not permitted to publish that.' : `Connected and publishing ${published}.`;
}

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

interface ControlsOptions {
  readonly connection: GatewayConnection;
  /** Media types that are published. */
  readonly granted: readonly string[];
  readonly onLeave: () => void;
}

function Controls({ connection, granted, onLeave }: ControlsOptions) {
  const problem = useSignal('');
  const [hasAudio, hasVideo] = [granted.includes('AUDIO'), granted.includes('VIDEO')];
  const press = async (digit: string): Promise<void> => {
    problem.value = '';
    try {
      await connection.press(digit);
    } catch (error) {
      problem.value = `The key ${digit} was not sent: ${error instanceof Error ? error.message : String(error)}`;
    }
  };
  return (
    <>
      <div class="controls">
        <label class="check">
          <input
            type="checkbox"
            id="mute"
            disabled={!hasAudio}
            onChange={(event) => connection.mute(event.currentTarget.checked)}
          />{' '}
          mute my microphone
        </label>
        <label class="check">
          <input
            type="checkbox"
            id="hide"
            disabled={!hasVideo}
            onChange={(event) => connection.hide(event.currentTarget.checked)}
          />{' '}
          stop my camera
        </label>
        <button type="button" id="leave" onClick={onLeave}>
          Leave
        </button>
      </div>
      <fieldset id="keypad" disabled={!hasAudio}>
        <legend>Keypad</legend>
        {KEYS.map((digit) => (
          <button type="button" class="secondary" key={digit} onClick={() => void press(digit)}>
            {digit}
          </button>
        ))}
      </fieldset>
      <p class="problem" role="alert">
        {problem.value}
      </p>
    </>
  );
}
