import { signal, type ReadonlySignal } from '@preact/signals';

/** How loud a media stream is now. */
export interface SoundLevel {
  /** Root mean square of its samples, 0 to 1. */
  readonly level: ReadonlySignal<number>;
  stop(): void;
}

/** Measures in this page, so that it shows what is really heard here. */
export function measureLevel(stream: MediaStream): SoundLevel {
  const level = signal(0);
  // In Firefox, tracks from before a lost connection stay in the stream, ended, and Web Audio might take one of them.
  const newest = stream.getAudioTracks().slice(-1);
  if (newest.length === 0) return { level, stop: () => undefined };
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream(newest)).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const draw = (): void => {
    if (context.state === 'closed') return;
    analyser.getFloatTimeDomainData(samples);
    level.value = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    requestAnimationFrame(draw);
  };
  draw();
  return { level, stop: () => void context.close() };
}
