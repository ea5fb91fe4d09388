import type { RtcStream } from '@bandwidth/webrtc-browser';

/** The list of streams that this page receives, each playing, with a level meter. */
export class ReceivedStreams {
  readonly #list: HTMLElement;
  readonly #items = new Map<string, { item: HTMLElement; audio: AudioContext }>();

  constructor(list: HTMLElement) {
    this.#list = list;
    this.#showEmpty();
  }

  add(stream: RtcStream): void {
    this.remove(stream.endpointId);
    const item = document.createElement('li');
    const player = document.createElement(stream.mediaStream.getVideoTracks().length > 0 ? 'video' : 'audio');
    player.srcObject = stream.mediaStream;
    player.autoplay = true;
    const name = document.createElement('div');
    const types = stream.mediaTypes.map((type) => type.toLowerCase()).join(' and ');
    name.textContent = `${stream.alias ?? 'stream'} of participant ${stream.participantId ?? '?'} (${types})`;
    const meter = document.createElement('meter');
    item.append(name, meter, player);
    this.#list.querySelector('.empty')?.remove();
    this.#list.append(item);
    this.#items.set(stream.endpointId, { item, audio: showLevel(stream.mediaStream, meter) });
  }

  remove(streamId: string): void {
    const entry = this.#items.get(streamId);
    if (!entry) return;
    this.#items.delete(streamId);
    void entry.audio.close();
    entry.item.remove();
    if (this.#items.size === 0) this.#showEmpty();
  }

  #showEmpty(): void {
    const empty = document.createElement('li');
    empty.className = 'empty';
    empty.textContent = 'None yet: nobody that you are subscribed to is publishing.';
    this.#list.replaceChildren(empty);
  }
}

function showLevel(stream: MediaStream, meter: HTMLMeterElement): AudioContext {
  const context = new AudioContext();
  // In Firefox, tracks from before a lost connection stay in the stream, ended, and Web Audio might take one of them.
  const newest = stream.getAudioTracks().slice(-1);
  if (newest.length === 0) return context;
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(new MediaStream(newest)).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const draw = (): void => {
    if (context.state === 'closed') return;
    analyser.getFloatTimeDomainData(samples);
    meter.value = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) * 4;
    requestAnimationFrame(draw);
  };
  draw();
  return context;
}
