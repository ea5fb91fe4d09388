import { BandwidthRtcV3 as BandwidthRtc, type RtcStream } from '@bandwidth/webrtc-browser';

/** After this close code the client does not reconnect; after all others it does. */
const NORMAL_CLOSURE = 1000;

interface ConnectionHandlers {
  streamAvailable(stream: RtcStream): void;
  streamUnavailable(streamId: string): void;
}

interface PublishOptions {
  readonly audio: boolean;
  readonly video: boolean;
}

const websocketUrl = `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}`;

/** Browsers send a tone of 100 ms and a pause of 70 ms; a little more for safety. */
const KEY_MS = 250;

/** This page's connection to the gateway, by the published client, from joining to leaving. */
export class GatewayConnection {
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

  /** @returns the media types that are published: those that the participant has permission for */
  async publish(wanted: PublishOptions): Promise<readonly string[]> {
    if (!wanted.audio && !wanted.video) return [];
    return (await this.#client.publish({ ...wanted })).mediaTypes;
  }

  mute(muted: boolean): void {
    this.#client.setMicEnabled(!muted);
  }

  hide(hidden: boolean): void {
    this.#client.setCameraEnabled(!hidden);
  }

  /**
   * Sends a digit once those before it are sent: the browser would drop a digit when the next one comes.
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

  /** This also checks the token, since the client itself does not report that a token is refused. */
  async #iceServers(): Promise<RTCIceServer[]> {
    const headers = { authorization: `Bearer ${this.#token}` };
    const response = await fetch('/console/iceServers', { headers });
    const body = (await response.json()) as { iceServers: RTCIceServer[]; error?: string };
    if (!response.ok) throw new Error(body.error ?? `The gateway answered ${String(response.status)}.`);
    return body.iceServers;
  }
}

interface SocketWatcher {
  opened(): void;
  /** @param final the client will not reconnect; `reason` is from the gateway */
  closed(final: boolean, reason: string): void;
}

/** Watches all WebSockets of the page, since the client has no events for its socket. */
export function watchSockets(watcher: SocketWatcher): void {
  globalThis.WebSocket = class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols);
      this.addEventListener('open', () => watcher.opened());
      this.addEventListener('close', ({ code, reason }) => watcher.closed(code === NORMAL_CLOSURE, reason));
    }
  };
}
