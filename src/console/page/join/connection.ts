import { BandwidthRtcV3 as BandwidthRtc, type RtcStream } from '@bandwidth/webrtc-browser';
import { GATEWAY_AWAY, JoinError, tokenFailure } from './failures.js';

/** After this close code the client does not reconnect; after all others it does. */
const NORMAL_CLOSURE = 1000;

interface ConnectionHandlers {
  streamAvailable(stream: RtcStream): void;
  streamUnavailable(streamId: string): void;
}

interface IceServers {
  readonly iceServers: readonly RTCIceServer[];
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

  /** @throws JoinError by rejection, which says what is wrong with the token */
  async open(): Promise<void> {
    // This also checks the token, since the client itself does not report that a token is refused.
    const { iceServers } = await askWithToken<IceServers>('/console/iceServers', this.#token);
    await this.#client.connect({ deviceToken: this.#token }, { websocketUrl, iceServers: [...iceServers] });
  }

  /** @returns what is published: of the stream's types those that the participant has permission for */
  publish(stream: MediaStream, alias?: string): Promise<RtcStream> {
    return this.#client.publish(stream, undefined, alias);
  }

  unpublish(stream: RtcStream): Promise<void> {
    return this.#client.unpublish(stream);
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
}

/** @throws JoinError by rejection: the gateway is away, or refuses the token */
export async function askWithToken<T>(path: string, token: string): Promise<T> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(path, { headers, cache: 'no-store' }).catch(() => undefined);
  if (!response) throw new JoinError(GATEWAY_AWAY);
  const body = (await response.json().catch(() => ({}))) as T & { readonly error?: string };
  if (response.status === 401) throw new JoinError(tokenFailure(body.error ?? 'The token is not valid.'));
  if (!response.ok)
    throw new JoinError({ ...GATEWAY_AWAY, words: `The gateway answered ${response.status}.` });
  return body;
}

interface SocketWatcher {
  opened(): void;
  /** @param final the client will not reconnect; `reason` is from the gateway */
  closed(final: boolean, reason: string): void;
}

let watcher: SocketWatcher | undefined;

/** Watches all WebSockets of the page, since the client has no events for its socket. */
export function watchSockets(next: SocketWatcher | undefined): void {
  watcher = next;
}

globalThis.WebSocket = class extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    this.addEventListener('open', () => watcher?.opened());
    this.addEventListener('close', ({ code, reason }) => watcher?.closed(code === NORMAL_CLOSURE, reason));
  }
};
