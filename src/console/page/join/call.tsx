import { type Signal, useSignal, useSignalEffect } from '@preact/signals';
import type { RtcStream } from '@bandwidth/webrtc-browser';
import { useEffect, useMemo } from 'preact/hooks';
import { useAdmission } from './admission.js';
import { GatewayConnection, watchSockets } from './connection.js';
import { Controls, Keypad } from './controls.js';
import { endedBy, type Failure, failureOf } from './failures.js';
import type { Brought } from './join.js';
import { MediaPathWatch, pathText } from './peer-connections.js';
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
    status.value = isLost.value
      ? 'The connection is lost: the gateway is away, or your network. Reconnecting …'
      : state.value;
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
  const watch = useMemo(() => new MediaPathWatch(), []);
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
      watch.stop();
      watchSockets(undefined);
      connection.close();
      for (const track of media?.getTracks() ?? []) track.stop();
    };
  }, []);
  const admission = useAdmission(token, `${state.value} ${streams.value.length}`).value;
  const path = watch.path.value;
  return (
    <section id="call">
      <p class="facts">
        {admission?.participant.tag !== undefined && <>You are {admission.participant.tag}. </>}
        {admission &&
          (admission.session
            ? `In session ${admission.session.tag ?? 'without a tag'}.`
            : 'In no session yet.')}
      </p>
      <p id="network" class={path.state === 'blocked' ? 'notice' : 'facts'} role="status">
        {pathText(path)}
      </p>
      <Controls
        connection={connection}
        granted={granted.value}
        admission={admission}
        onLeave={() => onEnd()}
      />
      <h2>Received streams</h2>
      <Received streams={streams.value} admission={admission} />
      <Keypad connection={connection} hasAudio={granted.value.includes('AUDIO')} admission={admission} />
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
