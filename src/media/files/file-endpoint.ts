import { randomUUID } from 'node:crypto';
import { type FrameListener, type Mixing, PcmTrack } from '../audio/index.js';
import type { FileMediaEvent } from '../door.js';
import type { Endpoint, EndpointContext } from '../endpoint.js';
import type { DeviceStatistics, FileSpec } from '../types.js';
import type { FilePosition, SampleFiles } from './sample-file.js';

/** A file that is played to one device as a stream, from its beginning, once that device hears it. */
export class FileEndpoint implements Endpoint, FrameListener {
  readonly #context: EndpointContext<FileMediaEvent>;
  readonly #spec: FileSpec;
  readonly #mixing: Mixing;
  readonly #position: FilePosition;
  readonly #release: () => Promise<void>;
  readonly #published: PcmTrack;
  #timesPlayed = 0;
  #isStarted = false;
  #hasEnded = false;
  #isClosed = false;

  private constructor(
    context: EndpointContext<FileMediaEvent>,
    spec: FileSpec,
    mixing: Mixing,
    opened: { readonly position: FilePosition; readonly release: () => Promise<void> },
  ) {
    this.#context = context;
    this.#spec = spec;
    this.#mixing = mixing;
    this.#position = opened.position;
    this.#release = opened.release;
    const streamId = randomUUID();
    this.#published = new PcmTrack({ streamId, rate: spec.rate, next: (out) => this.#next(out) });
    context.setStreams([{ streamId, tracks: [this.#published.track] }]);
    mixing.clock.add(this);
  }

  /** @throws MediaError BAD_FILE by rejection */
  static async open(
    context: EndpointContext<FileMediaEvent>,
    spec: FileSpec,
    mixing: Mixing,
    files: SampleFiles,
  ): Promise<FileEndpoint> {
    return new FileEndpoint(context, spec, mixing, await files.acquire(spec.path));
  }

  /** It receives nothing. */
  setTracks(): void {
    return;
  }

  onFrame(frame: number): void {
    this.#published.onFrame(frame, performance.now());
  }

  statistics(): DeviceStatistics {
    const { frames } = this.#published;
    return {
      packetsReceived: frames,
      bytesReceived: 0,
      packetsSent: 0,
      bytesSent: 0,
      packetsLost: 0,
      jitterMs: 0,
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#mixing.clock.remove(this);
    this.#published.track.end();
    await this.#release();
  }

  #next(out: Int16Array): boolean {
    if (!this.#isStarted) {
      if (!this.#published.isHeard) return false;
      this.#isStarted = true;
      this.#context.emit({ type: 'started' });
    }
    if (this.#hasEnded) return false;
    const { times, volume } = this.#spec;
    let written = 0;
    for (;;) {
      written += this.#position.read(out, written, volume);
      if (!this.#position.isAtEnd) break;
      this.#timesPlayed += 1;
      if (times > 0 && this.#timesPlayed >= times) {
        this.#end();
        break;
      }
      this.#position.rewind();
      if (written === out.length) break;
    }
    out.fill(0, written);
    return true;
  }

  /** Told after the last frame has been sent. */
  #end(): void {
    this.#hasEnded = true;
    setImmediate(() => this.#context.emit({ type: 'ended' }));
  }
}
