import { silentLog } from '../../../shared/testing/index.js';
import type { FrameListener, MixClock, Mixing } from '../../audio/index.js';
import { MixGroups } from '../../audio/index.js';
import type { FileMediaEvent, ProgramMediaEvent } from '../../door.js';
import type { EndpointContext, LiveStream } from '../../endpoint.js';
import { FileEndpoint, SampleFiles } from '../../files/index.js';
import type { PublishedTrack } from '../../track.js';
import type { FileSpec, ProgramSpec } from '../../types.js';
import { ProgramEndpoint } from '../program-endpoint.js';

/** Programs and files whose mix clock a test turns. */
export class SampleStage {
  readonly mixing: Mixing;
  readonly #listeners = new Set<FrameListener>();
  readonly #files = new SampleFiles();
  readonly #opened: FileEndpoint[] = [];
  frame = 0;

  constructor() {
    const clock = {
      add: (listener: FrameListener) => this.#listeners.add(listener),
      remove: (listener: FrameListener) => this.#listeners.delete(listener),
    };
    this.mixing = {
      clock: clock as unknown as MixClock,
      groups: new MixGroups(() => this.frame * 20),
    };
  }

  /** Endpoints that the clock calls. */
  get listening(): number {
    return this.#listeners.size;
  }

  run(frames: number, each: (frame: number) => void = () => undefined): void {
    for (let i = 0; i < frames; i += 1) {
      this.frame += 1;
      for (const listener of this.#listeners) listener.onFrame(this.frame, performance.now());
      each(this.frame);
    }
  }

  /** Closes the files. */
  async close(): Promise<void> {
    await Promise.all(this.#opened.map((endpoint) => endpoint.close()));
  }

  program(name: string, spec: Partial<ProgramSpec> = {}): StagedProgram {
    return new StagedProgram(this.mixing, {
      kind: 'program',
      deviceId: name,
      rate: 8000,
      channels: 'mix',
      queueMs: 10_000,
      ...spec,
    });
  }

  async file(
    spec: Partial<FileSpec> & Pick<FileSpec, 'path'>,
  ): Promise<{ endpoint: FileEndpoint; track: PublishedTrack; events: FileMediaEvent['type'][] }> {
    const events: FileMediaEvent['type'][] = [];
    let track: PublishedTrack | undefined;
    const context: EndpointContext<FileMediaEvent> = {
      ...contextOf('file', (streams) => (track = streams[0]!.tracks[0]!)),
      emit: ({ type }) => events.push(type),
    };
    const all: FileSpec = {
      kind: 'file',
      deviceId: 'file',
      listenerId: 'somebody',
      rate: 8000,
      times: 1,
      volume: 1,
      ...spec,
    };
    const endpoint = await FileEndpoint.open(context, all, this.mixing, this.#files);
    this.#opened.push(endpoint);
    return { endpoint, track: track!, events };
  }
}

function contextOf(deviceId: string, onStreams: (streams: readonly LiveStream[]) => void) {
  const options = {
    rtpHost: '127.0.0.1',
    rtpPorts: [0, 0],
    webrtcHost: '127.0.0.1',
    webrtcPort: 0,
    mediaTimeoutMs: 1000,
  } as const;
  return { deviceId, options, log: silentLog, metersSpeech: () => false, setStreams: onStreams };
}

/** A program, and what it was told. */
class StagedProgram {
  readonly endpoint: ProgramEndpoint;
  readonly events: ProgramMediaEvent[] = [];
  readonly #spec: ProgramSpec;
  #streams: readonly LiveStream[] = [];

  constructor(mixing: Mixing, spec: ProgramSpec) {
    this.#spec = spec;
    const context: EndpointContext<ProgramMediaEvent> = {
      ...contextOf(spec.deviceId, (streams) => (this.#streams = streams)),
      emit: (event) => this.events.push(event),
    };
    this.endpoint = new ProgramEndpoint(context, spec, mixing);
  }

  get track(): PublishedTrack {
    return this.#streams[0]!.tracks[0]!;
  }

  hear(...tracks: readonly PublishedTrack[]): this {
    this.endpoint.setTracks(tracks, false);
    return this;
  }

  play(pcm: Int16Array): void {
    this.endpoint.play(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
  }

  /** The messages of audio so far. */
  get received(): Int16Array[] {
    return this.events.flatMap((event) => {
      if (event.type !== 'audio') return [];
      const { pcm } = event;
      return [Int16Array.from({ length: pcm.length / 2 }, (_, i) => pcm.readInt16LE(2 * i))];
    });
  }

  /** All of them as one. */
  get heard(): Int16Array {
    return Int16Array.from(this.received.flatMap((pcm) => [...pcm]));
  }

  get marks(): string[] {
    return this.events.flatMap((event) => (event.type === 'played' ? [event.mark] : []));
  }

  /** What it is told of keys. */
  get digits(): string[] {
    return this.events.flatMap((event) =>
      event.type === 'digit' ? [`${event.streamId} ${event.digit}`] : [],
    );
  }

  get rate(): number {
    return this.#spec.rate;
  }
}
