import { type ReadonlySignal, type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type Failure, insecurePage, mediaFailure } from './failures.js';
import type { Brought } from './join.js';
import { measureLevel, type SoundLevel } from './sound-level.js';
import { TokenField } from './token-form.js';

interface LobbyOptions {
  readonly token: string;
  readonly onJoin: (brought: Brought) => void;
}

/** Microphone and camera as chosen before joining. */
class Chosen {
  stream: MediaStream | undefined;
  #level: SoundLevel | undefined;
  #attempt = 0;

  get level(): ReadonlySignal<number> | undefined {
    return this.#level?.level;
  }

  take(stream: MediaStream): void {
    this.stop();
    this.stream = stream;
    this.#level = measureLevel(stream);
  }

  /**
   * Whatever was chosen before is let go, and what is still asked for is of no use any more.
   * @returns whether nothing else was chosen since
   */
  begin(): () => boolean {
    this.stop();
    this.#attempt += 1;
    const attempt = this.#attempt;
    return () => attempt === this.#attempt;
  }

  /** Leaves the stream to somebody else. */
  give(): MediaStream | undefined {
    const { stream } = this;
    this.#level?.stop();
    this.stream = undefined;
    return stream;
  }

  stop(): void {
    const stream = this.give();
    if (stream) stopAll(stream);
  }
}

function stopAll(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

/** What to bring along: the microphone is asked for before anything connects, and heard in a meter. */
export function Lobby({ token: given, onJoin }: LobbyOptions) {
  const token = useSignal(given);
  const [microphone, camera] = [useSignal(true), useSignal(false)];
  const [microphoneId, cameraId] = [useSignal(''), useSignal('')];
  const devices = useSignal<readonly MediaDeviceInfo[]>([]);
  const chosen = useSignal(new Chosen()).peek();
  /** Counts what was taken, so that the meter is drawn anew. */
  const taken = useSignal(0);
  const failure = useSignal<Failure | undefined>(insecurePage());
  const isJoining = useSignal(false);

  const [wantsAudio, wantsVideo] = [microphone.value, camera.value];
  const choice = `${wantsAudio} ${microphoneId.value} ${wantsVideo} ${cameraId.value}`;
  /** @returns false when there is none of what was asked for */
  const bring = async (): Promise<boolean> => {
    const isLatest = chosen.begin();
    taken.value += 1;
    if (!wantsAudio && !wantsVideo) return true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: wantsAudio && exactly(microphoneId.value),
        video: wantsVideo && exactly(cameraId.value),
      });
      if (!isLatest()) {
        stopAll(stream);
        return false;
      }
      chosen.take(stream);
      failure.value = undefined;
      // Names are told only to those who may use the devices.
      devices.value = await navigator.mediaDevices.enumerateDevices();
      return true;
    } catch (error) {
      failure.value = insecurePage() ?? mediaFailure(error);
      return false;
    } finally {
      taken.value += 1;
    }
  };
  useEffect(() => {
    if (!insecurePage()) void bring();
  }, [choice]);
  useEffect(() => () => void chosen.begin(), []);

  const join = async (): Promise<void> => {
    if (isJoining.value) return;
    isJoining.value = true;
    const isMissing = (wantsAudio || wantsVideo) && !chosen.stream;
    if (!isMissing || (await bring())) {
      const media = chosen.give();
      onJoin({ token: token.value.trim(), ...(media && { media }) });
    }
    isJoining.value = false;
  };

  return (
    <form
      id="join"
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        void join();
      }}
    >
      <h2>Join the call</h2>
      {given === '' && <TokenField token={token} />}
      <label class="check">
        <input
          type="checkbox"
          id="microphone"
          checked={wantsAudio}
          onChange={(event) => (microphone.value = event.currentTarget.checked)}
        />{' '}
        with my microphone
      </label>
      {wantsAudio && (
        <Choice kind="audioinput" label="Microphone" devices={devices.value} chosen={microphoneId} />
      )}
      {wantsAudio && <LobbyMeter level={taken.value > 0 ? chosen.level : undefined} />}
      <label class="check">
        <input
          type="checkbox"
          id="camera"
          checked={wantsVideo}
          onChange={(event) => (camera.value = event.currentTarget.checked)}
        />{' '}
        with my camera
      </label>
      {wantsVideo && <Choice kind="videoinput" label="Camera" devices={devices.value} chosen={cameraId} />}
      <div class="buttons">
        <button type="submit" disabled={isJoining.value}>
          Join
        </button>
        {failure.value && (
          <button type="button" class="secondary" onClick={() => onJoin({ token: token.value.trim() })}>
            Only listen
          </button>
        )}
      </div>
      {failure.value && (wantsAudio || wantsVideo) && (
        <p class="notice" role="status">
          <strong>{failure.value.words}</strong> {failure.value.advice}
        </p>
      )}
    </form>
  );
}

const exactly = (deviceId: string): MediaTrackConstraints | true =>
  deviceId === '' ? true : { deviceId: { exact: deviceId } };

interface ChoiceOptions {
  readonly kind: MediaDeviceKind;
  readonly label: string;
  readonly devices: readonly MediaDeviceInfo[];
  readonly chosen: Signal<string>;
}

/** Which of several devices of a kind is used. */
function Choice({ kind, label, devices, chosen }: ChoiceOptions) {
  const offered = devices.filter((device) => device.kind === kind && device.deviceId !== '');
  // Always there, so that the button below stays where it is when the devices become known.
  return (
    <select
      aria-label={label}
      disabled={offered.length < 2}
      value={chosen.value}
      onChange={(event) => (chosen.value = event.currentTarget.value)}
    >
      <option value="">the browser’s choice</option>
      {offered.map((device) => (
        <option key={device.deviceId} value={device.deviceId}>
          {device.label || label}
        </option>
      ))}
    </select>
  );
}

/** Speech is far below full scale; this makes it fill half of a meter. */
export const METER_FACTOR = 4;

function LobbyMeter({ level }: { readonly level: ReadonlySignal<number> | undefined }) {
  return (
    <meter
      class="level"
      min={0}
      max={1}
      value={(level?.value ?? 0) * METER_FACTOR}
      aria-label="Level of my microphone"
    />
  );
}
