/** What `GET .../gateway` answers. */

export interface Webhooks {
  readonly waiting: number;
  readonly failing: number;
}

export type Devices = Readonly<Record<string, number>>;

export interface Server {
  readonly address: string;
  readonly connected: boolean;
}

interface MediaHost {
  readonly id: string;
  readonly devices: number;
  readonly busy: number;
  readonly delayMs: number;
  readonly framesSkipped: number;
  readonly isRetired: boolean;
}

/** What only operators see. */
export interface WholeGateway {
  readonly startedAt: string;
  readonly load: {
    readonly state: 'open' | 'full' | 'overloaded';
    readonly busy: number;
    readonly delayMs: number;
    readonly processors: number;
    readonly devices: Devices;
    readonly maxCalls?: number;
  };
  readonly gateways: readonly {
    readonly id: string;
    readonly address?: string;
    readonly leads: boolean;
    readonly connected: boolean;
    readonly awaySince?: string;
    readonly devices: number;
  }[];
  readonly mediaHosts: readonly MediaHost[];
  readonly mediaHostsLost: number;
  readonly sip: { readonly server: string; readonly connections: readonly Server[]; readonly uri?: string };
  readonly freeswitch: readonly (Server & { readonly calls: number })[];
  readonly ports: {
    readonly http: string;
    readonly webrtc: number;
    readonly rtp: { readonly first: number; readonly last: number; readonly used: number };
  };
  readonly certificates: readonly { readonly usedFor: string; readonly endsAt: string }[];
  readonly webhooks: Webhooks & { readonly givenUp: number; readonly dropped: number };
  readonly store: { readonly writable: boolean; readonly waiting: number; readonly backedUpAt?: string };
  readonly warnings: readonly { readonly code: string; readonly message: string; readonly advice: string }[];
}

/** As `GET .../gateway` answers. */
export interface Report {
  readonly version: string;
  readonly own: {
    readonly devices: Devices;
    readonly maxDevices?: number;
    readonly eventReaders: number;
    readonly maxEventReaders: number;
    readonly requestsPerSecond?: number;
    readonly webhooks: Webhooks;
  };
  readonly gateway?: WholeGateway;
}
