import { BandwidthRtcV3 as BandwidthRtc, type RtcStream } from '@bandwidth/webrtc-browser';

/** With this close code the client stays away; with all others it reconnects. */
const NORMAL_CLOSURE = 1000;

interface ConnectionHandlers {
  streamAvailable(stream: RtcStream): void;
  streamUnavailable(streamId: string): void;
}

interface Wishes {
  readonly audio: boolean;
  readonly video: boolean;
}

const websocketUrl = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;

/** A tone of 100 ms and the pause of 70 ms after it, as browsers send them, and some room. */
const KEY_MS = 250;

/** This page's place in a session, from joining to leaving, through the published client. */
export class Connection {
  readonly #client = new BandwidthRtc();
  readonly #token: string;
  #pressed: Promise<unknown> = Promise.resolve();

  constructor(token: string, handlers: ConnectionHandlers) {
    this.#token = token;
    this.#client.onStreamAvailable((stream: RtcStream) => handlers.streamAvailable(stream));
    this.#client.onStreamUnavailable((streamId: string) => handlers.streamUnavailable(streamId));
  }

  /** @throws Error that says what is wrong with the token */
  async open(): Promise<void> {
    const iceServers = await this.#iceServers();
    await this.#client.connect({ deviceToken: this.#token }, { websocketUrl, iceServers });
  }

  /** @returns the media types that the participant may really publish */
  async publish(wishes: Wishes): Promise<readonly string[]> {
    if (!wishes.audio && !wishes.video) return [];
    return (await this.#client.publish({ ...wishes })).mediaTypes;
  }

  mute(muted: boolean): void {
    this.#client.setMicEnabled(!muted);
  }

  hide(hidden: boolean): void {
    this.#client.setCameraEnabled(!hidden);
  }

  /**
   * Presses a key, after those before it: the browser would drop a digit for the next one.
   * @throws Error by rejection while the browser cannot send tones
   */
  press(digit: string): Promise<void> {
    const pressed = this.#pressed.then(() => this.#client.sendDtmf(digit));
    this.#pressed = pressed.then(
      () => new Promise((resolve) => setTimeout(resolve, KEY_MS)),
      () => undefined,
    );
    return pressed;
  }

  close(): void {
    this.#client.disconnect();
  }

  /** Asked first also because the client itself never says that a token is refused. */
  async #iceServers(): Promise<RTCIceServer[]> {
    const headers = { authorization: `Bearer ${this.#token}` };
    const response = await fetch('/console/iceServers', { headers });
    const body = (await response.json()) as { iceServers: RTCIceServer[]; message?: string };
    if (!response.ok) throw new Error(body.message ?? `The gateway answered ${String(response.status)}.`);
    return body.iceServers;
  }
}

/** What has become of the client's socket. */
interface SocketWatcher {
  opened(): void;
  /** @param final the client will not connect again; `reason` is the gateway's word on it */
  closed(final: boolean, reason: string): void;
}

/** The client tells its page nothing of its socket, so the page looks on itself. */
export function watchSockets(watcher: SocketWatcher): void {
  globalThis.WebSocket = class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      this.addEventListener('open', () => watcher.opened());
      this.addEventListener('close', ({ code, reason }) => watcher.closed(code === NORMAL_CLOSURE, reason));
    }
  };
}
