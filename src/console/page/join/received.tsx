import { useSignal, useSignalEffect } from '@preact/signals';
import type { RtcStream } from '@bandwidth/webrtc-browser';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { type Admission, whoIs } from './admission.js';
import { METER_FACTOR } from './lobby.js';
import { measureLevel } from './sound-level.js';

interface ReceivedOptions {
  readonly streams: readonly RtcStream[];
  readonly admission: Admission | undefined;
}

/** The streams that this page receives, each playing, with who speaks and how loud. */
export function Received({ streams, admission }: ReceivedOptions) {
  return (
    <ul id="streams">
      {streams.length === 0 && <li class="empty">{nothingReceived(admission)}</li>}
      {streams.map((stream) => (
        <Playing key={stream.endpointId} stream={stream} admission={admission} />
      ))}
    </ul>
  );
}

function nothingReceived(admission: Admission | undefined): string {
  if (admission && !admission.session) {
    return 'None yet: you are in no session. Stay here; you hear the others as soon as the application lets you in.';
  }
  return 'None yet: nobody that you are subscribed to is publishing.';
}

/** Speech is louder than that, and pauses within it are shorter. */
const SPEECH_LEVEL = 0.01;
const PAUSE_MS = 600;

function Playing({
  stream,
  admission,
}: {
  readonly stream: RtcStream;
  readonly admission: Admission | undefined;
}) {
  const player = useRef<HTMLVideoElement & HTMLAudioElement>(null);
  const { mediaStream, participantId = '' } = stream;
  const measured = useMemo(() => measureLevel(mediaStream), [mediaStream]);
  const speaks = useSignal(false);
  const heardAt = useRef(-PAUSE_MS);
  useEffect(() => {
    if (player.current) player.current.srcObject = mediaStream;
    return () => measured.stop();
  }, [mediaStream]);
  useSignalEffect(() => {
    if (measured.level.value > SPEECH_LEVEL) heardAt.current = performance.now();
    speaks.value = performance.now() - heardAt.current < PAUSE_MS;
  });
  const name = whoIs(admission, participantId);
  const types = stream.mediaTypes.map((type) => type.toLowerCase()).join(' and ');
  const Player = mediaStream.getVideoTracks().length > 0 ? 'video' : 'audio';
  return (
    <li data-participant={participantId}>
      <div class="source-line">
        <strong>{name}</strong>
        {speaks.value && <span class="speaking">speaks</span>}
      </div>
      <div class="facts">
        {[stream.alias, types].filter((fact) => fact !== undefined && fact !== '').join(' · ')}
      </div>
      <meter
        class="level"
        min={0}
        max={1}
        value={measured.level.value * METER_FACTOR}
        aria-label={`Level of ${name}`}
      />
      <Player ref={player} autoplay playsInline />
    </li>
  );
}
