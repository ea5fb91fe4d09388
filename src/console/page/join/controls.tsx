import { useSignal } from '@preact/signals';
import type { RtcStream } from '@bandwidth/webrtc-browser';
import { type Admission, digitsText } from './admission.js';
import type { GatewayConnection } from './connection.js';
import { mediaFailure } from './failures.js';

interface ControlsOptions {
  readonly connection: GatewayConnection;
  /** Media types of microphone and camera that are published. */
  readonly granted: readonly string[];
  readonly admission: Admission | undefined;
  readonly onLeave: () => void;
}

/** What can be done within a call. */
export function Controls({ connection, granted, admission, onLeave }: ControlsOptions) {
  const problem = useSignal('');
  const [hasAudio, hasVideo] = [granted.includes('AUDIO'), granted.includes('VIDEO')];
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
        {admission?.participant.publishes.includes('video') === true && (
          <ScreenShare connection={connection} say={(words) => (problem.value = words)} />
        )}
        <button type="button" id="leave" onClick={onLeave}>
          Leave
        </button>
      </div>
      <p class="problem" role="alert">
        {problem.value}
      </p>
    </>
  );
}

interface KeypadOptions {
  readonly connection: GatewayConnection;
  readonly hasAudio: boolean;
  readonly admission: Admission | undefined;
}

const KEYS = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '0', '#'];

/** Keys that are sent as DTMF. */
export function Keypad({ connection, hasAudio, admission }: KeypadOptions) {
  const problem = useSignal('');
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
      {admission && hasAudio && <p class="hint">{digitsText(admission)}</p>}
    </>
  );
}

interface ScreenShareOptions {
  readonly connection: GatewayConnection;
  readonly say: (words: string) => void;
}

function ScreenShare({ connection, say }: ScreenShareOptions) {
  const shared = useSignal<RtcStream | undefined>(undefined);
  const isBusy = useSignal(false);
  const stop = async (): Promise<void> => {
    const stream = shared.value;
    shared.value = undefined;
    if (!stream) return;
    await connection.unpublish(stream);
    for (const track of stream.mediaStream.getTracks()) track.stop();
  };
  const start = async (): Promise<void> => {
    const media = await navigator.mediaDevices.getDisplayMedia({ video: true });
    const stream = await connection.publish(media, 'screen');
    shared.value = stream;
    // By the browser's own button.
    media.getVideoTracks()[0]?.addEventListener('ended', () => void run(stop));
  };
  const run = async (work: () => Promise<void>): Promise<void> => {
    say('');
    isBusy.value = true;
    try {
      await work();
    } catch (error) {
      const { words, advice } = mediaFailure(error);
      // Who closes the browser's dialog does not need to be told.
      if (!(error instanceof Error && error.name === 'NotAllowedError')) say(`${words} ${advice}`);
    }
    isBusy.value = false;
  };
  return (
    <button
      type="button"
      class="secondary"
      id="share-screen"
      disabled={isBusy.value}
      onClick={() => void run(shared.value ? stop : start)}
    >
      {shared.value ? 'Stop sharing my screen' : 'Share my screen'}
    </button>
  );
}
