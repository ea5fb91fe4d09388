import type { RtcStream } from '@bandwidth/webrtc-browser';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { METER_FACTOR } from './lobby.js';
import { measureLevel } from './sound-level.js';

/** The streams that this page receives, each playing, with a level meter. */
export function Received({ streams }: { readonly streams: readonly RtcStream[] }) {
  return (
    <ul id="streams">
      {streams.length === 0 && (
        <li class="empty">None yet: nobody that you are subscribed to is publishing.</li>
      )}
      {streams.map((stream) => (
        <Playing key={stream.endpointId} stream={stream} />
      ))}
    </ul>
  );
}

function Playing({ stream }: { readonly stream: RtcStream }) {
  const player = useRef<HTMLVideoElement & HTMLAudioElement>(null);
  const { mediaStream } = stream;
  const measured = useMemo(() => measureLevel(mediaStream), [mediaStream]);
  useEffect(() => {
    if (player.current) player.current.srcObject = mediaStream;
    return () => measured.stop();
  }, [mediaStream]);
  const name = `${stream.alias ?? 'stream'} of participant ${stream.participantId ?? '?'}`;
  const types = stream.mediaTypes.map((type) => type.toLowerCase()).join(' and ');
  const Player = mediaStream.getVideoTracks().length > 0 ? 'video' : 'audio';
  return (
    <li>
      <div>
        {name} ({types})
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
