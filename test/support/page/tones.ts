/** Its output, which nobody hears, is asked for seldom. */
const context = new AudioContext({ sampleRate: 48_000, latencyHint: 'playback' });

const VOLUME = 0.4;
/** In seconds. */
const SYLLABLE = 0.2;
const PAUSE = 0.1;
const LONGEST_SPEECH = 60;

const speaking: GainNode[] = [];

/**
 * An audio track with a sine tone, steady or in syllables, which goes on for the track's clones when the track is stopped.
 */
export function toneTrack(hz: number, syllables: boolean): MediaStreamTrack {
  const oscillator = new OscillatorNode(context, { frequency: hz });
  const gain = new GainNode(context, { gain: VOLUME });
  const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
  oscillator.connect(gain).connect(destination);
  oscillator.start();
  if (syllables) speak(gain);
  return destination.stream.getAudioTracks()[0]!;
}

function speak(gain: GainNode): void {
  speaking.push(gain);
  const start = context.currentTime;
  for (let at = start; at < start + LONGEST_SPEECH; at += SYLLABLE + PAUSE) {
    gain.gain.setValueAtTime(VOLUME, at);
    gain.gain.setValueAtTime(0, at + SYLLABLE);
  }
}

export function fallSilent(): void {
  for (const { gain } of speaking) {
    gain.cancelScheduledValues(context.currentTime);
    gain.setValueAtTime(0, context.currentTime);
  }
}

/** Listens by spectrum to the audio of a stream that a media element is playing. */
export class ToneMeter {
  readonly #analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  readonly #source: MediaStreamAudioSourceNode;
  readonly #bins: Float32Array<ArrayBuffer>;

  constructor(stream: MediaStream) {
    // Firefox leaves ended tracks in a stream whose m-line has changed, and Web Audio would take any of them.
    this.#source = context.createMediaStreamSource(new MediaStream(stream.getAudioTracks().slice(-1)));
    this.#source.connect(this.#analyser);
    this.#bins = new Float32Array(this.#analyser.frequencyBinCount);
  }

  measure(hz: number): { prominenceDb: number; levelDb: number } {
    this.#analyser.getFloatFrequencyData(this.#bins);
    const width = context.sampleRate / this.#analyser.fftSize;
    const centre = Math.round(hz / width);
    const levelDb = Math.max(...this.#bins.subarray(Math.max(0, centre - 2), centre + 3));
    const speech = [...this.#bins.subarray(Math.round(150 / width), Math.round(3_800 / width))].sort(
      (a, b) => a - b,
    );
    const median = Math.max(speech[speech.length >> 1]!, -140);
    const prominenceDb = Number.isFinite(levelDb) ? levelDb - median : 0;
    return { prominenceDb, levelDb: Number.isFinite(levelDb) ? levelDb : -200 };
  }

  close(): void {
    this.#source.disconnect();
  }
}
