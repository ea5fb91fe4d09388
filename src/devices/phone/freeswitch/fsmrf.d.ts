/** The parts of drachtio-fsmrf and its FreeSWITCH client that are used here. Neither has types of its own. */

declare module 'drachtio-fsmrf' {
  import type { EventEmitter } from 'node:events';
  import type { Server, Socket } from 'node:net';

  interface Dialog {
    readonly remote: { readonly sdp: string };
    readonly local: { readonly contact: string };
    /** With the BYE that ended it. */
    on(event: 'destroy', listener: (bye: { get(header: 'Reason'): string | undefined }) => void): void;
    request(
      options: { method: 'INVITE'; body: string; headers: Record<string, string> },
      callback: (error: unknown, response?: { status: number; reason: string; body?: string }) => void,
    ): void;
    destroy(): Promise<unknown>;
  }

  interface Endpoint extends EventEmitter<{ destroy: [end?: { reason?: string }] }> {
    readonly uuid: string;
    readonly dialog: Dialog;
    readonly local: { readonly sdp: string; readonly mediaIp: string };
    execute(application: string, argument: string, done: () => void): void;
  }

  interface LegOptions {
    remoteSdp?: string;
    headers?: Record<string, string>;
  }

  interface MediaServer extends EventEmitter<{ end: [] }> {
    readonly conn: Connection;
    /** Listens for the connections that FreeSWITCH makes back. drachtio-fsmrf gives no other access to it. */
    readonly _server: { readonly server: Server };
    /** Legs that wait for FreeSWITCH to connect back: its connection, and what is to be done with it after the 200. */
    readonly pendingConnections: Map<
      string,
      { readonly conn?: object; readonly fn?: (conn: object) => void; readonly connTimeout?: NodeJS.Timeout }
    >;
    api(command: string): Promise<string>;
    createEndpoint(options: LegOptions): Promise<Endpoint>;
    connectCaller(request: object, response: object, options: LegOptions): Promise<{ endpoint: Endpoint }>;
    disconnect(): void;
  }

  /** The part of drachtio-modesl's connection that is used with it. */
  interface Connection {
    readonly socket: Socket | null;
    on(event: string, listener: (event: { getHeader(name: string): string | null }) => void): void;
    subscribe(events: readonly string[]): void;
    filter(header: string, value: string): void;
    filterDelete(header: string, value: string): void;
  }

  class Mrf {
    constructor(srf: object);
    connect(options: {
      address: string;
      port: number;
      secret: string;
      listenAddress: string;
      profile: string;
    }): Promise<MediaServer>;
  }

  export default Mrf;
  export type { Dialog, Endpoint, MediaServer };
}

declare module 'drachtio-modesl' {
  import type { Socket } from 'node:net';

  interface Connection {
    readonly socket: Socket | null;
    on(event: string, listener: (detail: unknown) => void): void;
    api(command: string, done: (reply: { getBody(): string }) => void): void;
    disconnect(): void;
  }

  const modesl: {
    Connection: new (host: string, port: number, secret: string, ready: () => void) => Connection;
  };
  export default modesl;
}
