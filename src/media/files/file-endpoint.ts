import { randomUUID } from 'node:crypto';
import { type FrameListener, type Mixing, PcmTrack } from '../audio/index.js';
import type { FileMediaEvent } from '../door.js';
import type { Endpoint, EndpointContext } from '../endpoint.js';
import type { DeviceStatistics, FileSpec } from '../types.js';
import type { EncodedFile, OpenedFile, SampleFiles } from './sample-file.js';

/** A file that is played to one device as a stream, from its beginning, once that device hears it. */
export class FileEndpoint implements Endpoint, FrameListener {
  readonly #context: EndpointContext<FileMediaEvent>;
  readonly #spec: FileSpec;
  readonly #mixing: Mixing;
  readonly #file: OpenedFile;
  /** Frames that were played, up to the present one. */
  #frames = 0;
  readonly #published: PcmTrack;
  #timesPlayed = 0;
  /** The disk was not fast enough. */
  #hasGaps = false;
  #isStarted = false;
  #hasEnded = false;
  #isClosed = false;

  private constructor(
    context: EndpointContext<FileMediaEvent>,
    spec: FileSpec,
    mixing: Mixing,
    file: OpenedFile,
  ) {
    this.#context = context;
    this.#spec = spec;
    this.#mixing = mixing;
    this.#file = file;
    const streamId = randomUUID();
    // Made when the first browser hears it.
    let encoded: EncodedFile | undefined;
    this.#published = new PcmTrack({
      streamId,
      rate: spec.rate,
      next: (out) => this.#next(out),
      encode: (pcm, out, offset) => {
        // A repetition begins amid a frame, what follows the end is no part of the file, and a gap is only here.
        if (this.#timesPlayed > 0 || this.#hasGaps) return undefined;
        encoded ??= file.encoded(spec.rate, spec.volume);
        return encoded.encode(this.#frames - 1, pcm, out, offset);
      },
    });
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

  onFrame(frame: number, now: number): void {
    this.#published.onFrame(frame, now);
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

  /** It belongs to no participant. */
  takeLevels(): [] {
    return [];
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#mixing.clock.remove(this);
    this.#published.track.end();
    await this.#file.release();
  }

  #next(out: Int16Array): boolean {
    if (!this.#isStarted) {
      if (!this.#published.isHeard) return false;
      this.#isStarted = true;
      this.#context.emit({ type: 'started' });
    }
    if (this.#hasEnded) return false;
    const { times, volume } = this.#spec;
    const position = this.#file.position;
    this.#frames += 1;
    let written = 0;
    for (;;) {
      written += position.read(out, written, volume);
      if (!position.isAtEnd) {
        this.#hasGaps ||= written < out.length;
        break;
      }
      this.#timesPlayed += 1;
      if (times > 0 && this.#timesPlayed >= times) {
        this.#end();
        break;
      }
      position.rewind();
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
