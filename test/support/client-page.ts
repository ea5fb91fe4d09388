import type { Page } from 'puppeteer-core';
import type {
  ChannelFlood,
  Colour,
  ConnectRequest,
  PeerState,
  Published,
  PublishRequest,
  ReceivedCounters,
  ReceivedStream,
  SentVideo,
  StreamEvent,
  TestPageApi,
  ToneLevel,
} from './page/api.js';
import { until } from './until.js';

/** A tone counts as heard if it is so far (dB) above the rest of the spectrum, and so loud (dBFS). */
const HEARD_PROMINENCE_DB = 25;
const HEARD_LEVEL_DB = -65;

const DEFAULT_LIMIT_MS = 30_000;
const COLOUR_TOLERANCE = 60;

/** Which received stream is meant; absent: any. */
interface StreamChoice {
  readonly streamId?: string;
  readonly participantId?: string;
  readonly alias?: string;
}

interface WaitOptions extends StreamChoice {
  /** Default 10 s. */
  readonly withinMs?: number;
}

const chosen =
  (choice: StreamChoice) =>
  (stream: StreamChoice): boolean =>
    (choice.streamId === undefined || stream.streamId === choice.streamId) &&
    (choice.participantId === undefined || stream.participantId === choice.participantId) &&
    (choice.alias === undefined || stream.alias === choice.alias);

/** What each method of the page answers. */
type Results = { [M in keyof TestPageApi]: Awaited<ReturnType<TestPageApi[M]>> };

/** A page in a real browser that runs an unmodified client. If a wait fails, the error says what was seen instead. */
export class ClientPage {
  readonly #page: Page;
  readonly #console: string[] = [];

  constructor(page: Page) {
    this.#page = page;
    page.on('console', (message) => this.#console.push(message.text()));
    page.on('pageerror', (error) => this.#console.push(String(error)));
  }

  /** What the page and the client wrote to the console; the client logs at debug level. */
  get console(): readonly string[] {
    return this.#console;
  }

  /** Connects. The client's `connect` never rejects, so a refusal shows as a timeout. */
  async connect(request: ConnectRequest, withinMs = DEFAULT_LIMIT_MS): Promise<void> {
    let connected = false;
    const connecting = this.#call('connect', request).then(() => (connected = true));
    connecting.catch(() => undefined);
    await until('connect', () => connected, {
      withinMs,
      seen: () => Promise.resolve(this.#console.slice(-5)),
    });
  }

  /** Starts to connect and does not wait; for tokens that are refused. */
  startConnecting(request: ConnectRequest): void {
    this.#call('connect', request).catch(() => undefined);
  }

  /** Publishes a stream with a steady tone in its audio and, if asked, moving pictures. */
  publishTone(hz: number, options: { alias?: string; video?: boolean } = {}): Promise<Published> {
    return this.publish({ toneHz: hz, ...options });
  }

  publish(request: PublishRequest): Promise<Published> {
    return this.#call('publish', request);
  }

  /**
   * Runs code of docs/browsers.md, which makes `connectAnew`: see the page's own description.
   * @param options.now calls that too
   */
  runDocumented(code: string, options: { now: boolean }): Promise<void> {
    return this.#call('runDocumented', code, options.now);
  }

  /** What is published in syllables is silence from now on. */
  fallSilent(): Promise<void> {
    return this.#call('fallSilent');
  }

  /** Unpublishes one stream, or all. */
  unpublish(streamId?: string): Promise<void> {
    return this.#call('unpublish', streamId);
  }

  /** The client's `disconnect`: `leave`, then close. */
  disconnect(): Promise<void> {
    return this.#call('disconnect');
  }

  /** Client 0.12 only: RFC 4733 events in the published audio. */
  sendDtmf(digits: string, streamId?: string): Promise<void> {
    return this.#call('sendDtmf', digits, streamId);
  }

  /** Streams that are available now. */
  streams(): Promise<readonly ReceivedStream[]> {
    return this.#call('streams');
  }

  /** Every onStreamAvailable and onStreamUnavailable so far. */
  events(): Promise<readonly StreamEvent[]> {
    return this.#call('events');
  }

  peers(): Promise<readonly PeerState[]> {
    return this.#call('peers');
  }

  /** SDP names of the video codecs that this browser can encode. */
  encodableVideo(): Promise<readonly string[]> {
    return this.#call('encodableVideo');
  }

  /** The layers of published video that have been sent. */
  sentLayers(): Promise<readonly string[]> {
    return this.#call('sentLayers');
  }

  /** What has been sent of published video. */
  sentVideo(): Promise<SentVideo> {
    return this.#call('sentVideo');
  }

  /** Draws frames on the published canvas, which is still otherwise. */
  paint(colour: Colour, frames: number): Promise<void> {
    return this.#call('paint', colour, frames);
  }

  /** Waits until a stream's picture has this colour in its middle, as far as codecs keep colours. */
  async seesColour(streamId: string, colour: Colour, withinMs = DEFAULT_LIMIT_MS): Promise<void> {
    const shown = (): Promise<Colour | undefined> => this.#call('shown', streamId);
    const fits = (seen: Colour | undefined): boolean =>
      seen?.every((part, i) => Math.abs(part - colour[i]!) < COLOUR_TOLERANCE) === true;
    await until(`${colour.join()} in ${streamId}`, async () => fits(await shown()), {
      withinMs,
      everyMs: 200,
      seen: async () => [await shown(), await this.counters(streamId)],
    });
  }

  /** The client's next offer to publish carries new ICE credentials. */
  restartIce(): Promise<void> {
    return this.#call('restartIce');
  }

  /** Makes the client restart ICE, as it does when its connection to publish has failed. */
  reportPublishFailed(): Promise<void> {
    return this.#call('reportPublishFailed');
  }

  /** Publishes video with this codec from now on. */
  preferVideo(codec: string): Promise<void> {
    return this.#call('preferVideo', codec);
  }

  /** Takes no video of this codec from now on. */
  refuseVideo(codec: string): Promise<void> {
    return this.#call('refuseVideo', codec);
  }

  /** Sends messages over a data channel. @returns how many were sent before it was closed */
  floodChannel(flood: ChannelFlood): Promise<number> {
    return this.#call('floodChannel', flood);
  }

  /** How many data channels are open, on all paths. */
  openChannels(): Promise<number> {
    return this.#call('openChannels');
  }

  /** Decoder counters of a received stream. */
  counters(streamId: string): Promise<ReceivedCounters> {
    return this.#call('counters', streamId);
  }

  /** Waits until a stream that fits is available. */
  receives(choice: WaitOptions = {}): Promise<ReceivedStream> {
    return until(
      `stream ${JSON.stringify(choice)}`,
      async () => (await this.streams()).find(chosen(choice)),
      { withinMs: choice.withinMs ?? DEFAULT_LIMIT_MS, seen: () => this.streams() },
    );
  }

  /** Waits until no stream that fits is available. */
  async loses(choice: WaitOptions = {}): Promise<void> {
    await until(
      `no stream ${JSON.stringify(choice)}`,
      async () => !(await this.streams()).some(chosen(choice)),
      { withinMs: choice.withinMs ?? DEFAULT_LIMIT_MS, seen: () => this.streams() },
    );
  }

  /** Waits until a tone is heard in a stream that fits. */
  hears(hz: number, options: WaitOptions = {}): Promise<ToneLevel> {
    return until(`${String(hz)} Hz`, async () => (await this.#heard(hz, options))[0], {
      withinMs: options.withinMs ?? DEFAULT_LIMIT_MS,
      seen: async () => ({ levels: await this.#call('tone', hz), streams: await this.streams() }),
    });
  }

  /** Waits until a tone is no longer heard in any stream that fits. */
  async stopsHearing(hz: number, options: WaitOptions = {}): Promise<void> {
    await until(`silence at ${String(hz)} Hz`, async () => (await this.#heard(hz, options)).length === 0, {
      withinMs: options.withinMs ?? DEFAULT_LIMIT_MS,
      seen: () => this.#call('tone', hz),
    });
  }

  /** Waits until `frames` more video frames of a stream have been decoded. */
  async seesFrames(streamId: string, frames: number, withinMs = DEFAULT_LIMIT_MS): Promise<void> {
    const decoded = async (): Promise<number> => (await this.counters(streamId)).video?.framesDecoded ?? 0;
    const before = await decoded();
    await until(`${String(frames)} frames of ${streamId}`, async () => (await decoded()) >= before + frames, {
      withinMs,
      everyMs: 200,
      seen: async () => [before, await this.counters(streamId), await this.streams()],
    });
  }

  /** The same for the stream that fits, and its successor if it is replaced meanwhile. */
  async seesPictures(choice: WaitOptions = {}): Promise<void> {
    let seen: { readonly streamId: string; readonly frames: number } | undefined;
    const goesOn = async (): Promise<boolean> => {
      const stream = (await this.streams()).find(chosen(choice));
      if (!stream) return false;
      const { streamId } = stream;
      const frames = (await this.counters(streamId)).video?.framesDecoded ?? 0;
      if (seen?.streamId !== streamId) seen = { streamId, frames };
      return frames >= seen.frames + 10;
    };
    await until(`pictures of ${JSON.stringify(choice)}`, goesOn, {
      withinMs: choice.withinMs ?? DEFAULT_LIMIT_MS,
      everyMs: 200,
      seen: async () => [seen, await this.streams()],
    });
  }

  /** Closes the page as a user closes a tab, unload handlers included. */
  async close(): Promise<void> {
    await this.#page.close({ runBeforeUnload: true });
  }

  /** The page's process dies, and no handler of it runs. */
  async crash(): Promise<void> {
    // The navigation never ends.
    await this.#page.goto('chrome://crash').catch(() => undefined);
  }

  async #heard(hz: number, choice: StreamChoice): Promise<readonly ToneLevel[]> {
    return (await this.#call('tone', hz)).filter(
      (tone) =>
        chosen(choice)(tone) && tone.prominenceDb >= HEARD_PROMINENCE_DB && tone.levelDb >= HEARD_LEVEL_DB,
    );
  }

  async #call<M extends keyof TestPageApi>(
    method: M,
    ...args: Parameters<TestPageApi[M]>
  ): Promise<Results[M]> {
    const result: unknown = await this.#page.evaluate(
      (name, values) => {
        const { patchbayTest } = globalThis as unknown as {
          patchbayTest: Record<string, (...args: unknown[]) => Promise<unknown>>;
        };
        return patchbayTest[name]!(...values);
      },
      method,
      args.filter((arg) => arg !== undefined),
    );
    return result as Results[M];
  }
}
