import type { HostCrossing } from '../crossing/index.js';
import type {
  BrowserMediaEvent,
  CarriedDevice,
  CrossingCounters,
  FileMediaEvent,
  MediaCounters,
  MediaLoad,
  MediaPlaneEvent,
  PhoneMediaEvent,
  ProgramMediaEvent,
} from '../door.js';
import type {
  AnySpec,
  MediaDelivery,
  MediaDtmf,
  MediaErrorCode,
  MediaKind,
  MediaPlaneOptions,
  MediaStreamInfo,
  PhoneDescription,
  PhoneSource,
  PublishAnswer,
  ProgramSpec,
  PublishOfferOptions,
} from '../types.js';

/** Version of this protocol. A gateway and a host with different numbers do not understand each other. */
export const PROTOCOL = 4;

/** The first message on a connection, from the gateway. */
export interface Hello {
  readonly type: 'hello';
  readonly protocol: number;
  /** Of the program. A host of another version takes no new devices. */
  readonly version: string;
  /** Grows with each gateway of the data folder. A host serves the gateway of the highest. */
  readonly epoch: number;
  readonly secret: string;
  readonly options: HostOptions;
  /** How long the host goes on without a gateway, in ms. */
  readonly handoverMs: number;
  /**
   * Where the host takes pipes of other gateways' hosts; absent: nowhere. It is no option of the plane, since a host can
   * change it and go on.
   */
  readonly pipeHost?: string | undefined;
}

/** What a host makes its plane with, from the first gateway that greets it. */
export interface HostOptions extends Omit<MediaPlaneOptions, 'webrtcPort'> {
  /** UDP ports for browsers' media; the host takes the first that is free. `[0]`: the system chooses. */
  readonly webrtcPorts: readonly number[];
}

/** Options as text that is equal for equal options. */
export function optionsKey({ webrtcPorts, ...options }: HostOptions): string {
  // Which further ports are tried depends on the hosts that there are.
  const compared = { ...options, webrtcPort: webrtcPorts[0] };
  return JSON.stringify(Object.entries(compared).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How a host answers a hello. */
export type HelloAnswer =
  | {
      readonly type: 'welcome';
      readonly pid: number;
      /** The namespace that `pid` belongs to. A host may run in a container of its own. */
      readonly pidNamespace: string;
      /** The host takes no new devices, since its version or its options differ from the gateway's. */
      readonly isRetired: boolean;
      /** 0 before the first browser, if the system chooses. */
      readonly webrtcPort: number;
      readonly devices: readonly CarriedState[];
      /** The hosts of the same gateway that it has pipes from. */
      readonly pipes: readonly string[];
      /** Where it takes pipes of other gateways' hosts: absent when it does not, as hosts of older versions. */
      readonly pipePort?: number | undefined;
    }
  | {
      readonly type: 'refused';
      /** `port`: none of the ports for browsers is free. */
      readonly cause: 'protocol' | 'secret' | 'epoch' | 'port';
    };

/** A device that a host carries, with what the gateway must know to open it again elsewhere. */
export interface CarriedState extends CarriedDevice {
  readonly labels?: Readonly<Record<string, string>>;
  readonly metersSpeech?: boolean;
  /** When it was opened, in epoch ms. */
  readonly openedAt: number;
  /** Programs: what they were opened with. */
  readonly program?: Pick<ProgramSpec, 'rate' | 'channels' | 'queueMs'> | undefined;
  /** Browsers: of the last subscribe offer. */
  readonly revision?: number;
  readonly layout?: readonly MediaKind[];
}

/** The requests of a gateway, with the arguments and the result of each. */
export interface HostRequests {
  open: [{ readonly spec: AnySpec }, OpenResult];
  setDelivery: [OfDevice & { readonly delivery: readonly MediaDelivery[] }, undefined];
  close: [OfDevice, undefined];
  publish: [OfDevice & { readonly options: PublishOfferOptions }, PublishAnswer];
  answerSubscribe: [OfDevice & { readonly sdpAnswer: string }, undefined];
  resume: [OfDevice, undefined];
  answer: [OfDevice & { readonly sdpAnswer: string }, PhoneDescription];
  update: [OfDevice & { readonly sdpOffer?: string }, PhoneDescription];
  confirm: [OfDevice & { readonly source: PhoneSource }, undefined];
  sendDtmf: [OfDevice & { readonly dtmf: MediaDtmf }, undefined];
  /** Another host is gone: the pipes to it and from it are closed. */
  unpipe: [{ readonly host: string }, undefined];
  /** Makes an end of a pipe: to another host, which will connect to it, or (`connect`) from it. */
  pipe: [{ readonly host: string; readonly key: string; readonly connect: boolean }, undefined];
  /** The full set of streams that another host gets by the pipe to it. */
  pipeStreams: [{ readonly host: string; readonly streamIds: readonly string[] }, undefined];
  /** What goes between it and hosts of other gateways: all of it, or what has changed. */
  cross: [{ readonly crossings: readonly HostCrossing[]; readonly isAll: boolean }, undefined];
  /** Closes everything and ends the process. */
  stop: [Record<string, never>, undefined];
}

/** What a phone, a program or a file is told when it is open. */
export interface OpenResult {
  readonly description?: PhoneDescription;
  readonly stream?: MediaStreamInfo;
}

interface OfDevice {
  readonly deviceId: string;
}

export type RequestName = keyof HostRequests;
export type ArgumentsOf<N extends RequestName> = HostRequests[N][0];
export type ResultOf<N extends RequestName> = HostRequests[N][1];

/** One request, with its name and arguments. */
export type AnyRequest = { [N in RequestName]: { readonly name: N } & ArgumentsOf<N> }[RequestName];

export type ToHost =
  | Hello
  | { readonly type: 'request'; readonly id: number; readonly request: AnyRequest }
  /** What the gateway keeps with a device. It is written just before a call's 200, so it gets no answer. */
  | ({ readonly type: 'keep'; readonly note: string } & OfDevice)
  /** Phones are sent nothing any more after so many ms; a host of an older version does not know it. */
  | { readonly type: 'sendToPhones'; readonly ms: number }
  /** Whether the levels of the device's streams are wanted from now on. */
  | ({ readonly type: 'levels'; readonly isWatched: boolean } & OfDevice)
  /** A program's mark, or the end of all that it has sent: among the audio, which comes in messages of its own. */
  | ({ readonly type: 'mark'; readonly mark: string } & OfDevice)
  | ({ readonly type: 'clear' } & OfDevice);

/** All but a program's audio, which goes as an {@link AudioMessage}. */
export type DeviceEvent = BrowserMediaEvent | PhoneMediaEvent | ProgramMediaEvent | FileMediaEvent;

export type FromHost =
  | HelloAnswer
  | { readonly type: 'result'; readonly id: number; readonly result?: unknown }
  | {
      readonly type: 'failure';
      readonly id: number;
      readonly code?: MediaErrorCode;
      readonly message: string;
    }
  | { readonly type: 'event'; readonly deviceId: string; readonly event: DeviceEvent }
  | { readonly type: 'plane'; readonly event: MediaPlaneEvent }
  /** Sent twice a second: the host is alive, and this is how it keeps up. */
  | {
      readonly type: 'beat';
      readonly load: HostLoad;
      readonly counters: MediaCounters;
      readonly crossings?: CrossingCounters;
    };

export interface HostLoad extends MediaLoad {
  /** Share of the last half second that phones' mixes took. */
  readonly mixShare: number;
}
