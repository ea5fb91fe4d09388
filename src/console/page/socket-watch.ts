/** What has become of the client's socket. */
export interface SocketWatcher {
  opened(): void;
  /** @param final the client will not connect again; `reason` is the gateway's word on it */
  closed(final: boolean, reason: string): void;
}

/** With this close code the client stays away; with all others it reconnects. */
const NORMAL_CLOSURE = 1000;

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
