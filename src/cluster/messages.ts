import type {
  CallTrace,
  Delivery,
  DeviceInfo,
  DeviceQuality,
  DtmfDigits,
  EndReason,
  ErrorCode,
  FailedCall,
  MediaFormats,
  OmittedTrack,
  Participant,
  PublishedStream,
  ResumePoint,
  StreamLoudness,
  StreamSpeech,
} from '../core/index.js';

/** What an edge and the leader say to each other: plain data, in the order in which it was sent. */

/** The leader's order of admissions, over all edges: of two devices of a participant, the later one stays. */
export type Order = readonly [epoch: number, count: number];

/** An error as plain data. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a device can do: see `DeviceCapabilities`. */
export interface Abilities {
  readonly sendDtmf: boolean;
  readonly setByeHeaders: boolean;
  readonly hold: boolean;
  readonly hearSpeech: boolean;
}

/** What the edge has of a device now. */
export interface DeviceState {
  readonly formats: MediaFormats;
  readonly streams: readonly PublishedStream[];
  readonly held: boolean;
  readonly signallingLost: boolean;
  readonly omitted: readonly OmittedTrack[];
  readonly quality?: DeviceQuality | undefined;
  readonly resumePoint?: ResumePoint | undefined;
}

/** A device with all that the core must know of it. */
export interface StatedDevice {
  readonly info: DeviceInfo;
  readonly participantId: string;
  readonly abilities: Abilities;
  /** In epoch milliseconds. */
  readonly connectedAt: number;
  /** Which device it may replace: see `ConnectOptions.replace`. */
  readonly replace: boolean | string;
  /** It goes on from an earlier process: the core may know it by the store alone. */
  readonly isCarried: boolean;
  /** Absent until the leader has admitted it. */
  readonly order?: Order | undefined;
  readonly state: DeviceState;
}

/** What happened at an edge and is told to applications, or billed: the leader counts it once. */
export type HistoryEvent =
  | { readonly type: 'connect'; readonly device: StatedDevice }
  | { readonly type: 'dtmf'; readonly deviceId: string; readonly digit: string; readonly durationMs: number }
  | { readonly type: 'hold'; readonly deviceId: string; readonly held: boolean }
  | { readonly type: 'signalling'; readonly deviceId: string; readonly lost: boolean }
  | { readonly type: 'end'; readonly deviceId: string; readonly reason: EndReason }
  /** What was measured in all, after the end. */
  | { readonly type: 'measured'; readonly deviceId: string; readonly quality: DeviceQuality }
  | { readonly type: 'callFailed'; readonly participantId: string; readonly call: FailedCall };

export interface HistoryEntry {
  /** Grows from 1 in each process of an edge; what was dropped leaves gaps. */
  readonly number: number;
  readonly event: HistoryEvent;
}

/** A part of a device's state that changed. What nobody is told of again may be lost with a connection. */
export type StateChange =
  | { readonly part: 'streams'; readonly streams: readonly PublishedStream[] }
  | { readonly part: 'formats'; readonly formats: MediaFormats }
  | { readonly part: 'omitted'; readonly omitted: readonly OmittedTrack[] }
  | { readonly part: 'quality'; readonly quality: DeviceQuality }
  | { readonly part: 'resumePoint'; readonly resumePoint: ResumePoint }
  | {
      readonly part: 'speaking';
      readonly streamId: string;
      readonly isSpeaking: boolean;
      readonly levelDb?: number | undefined;
    }
  | { readonly part: 'levels'; readonly levels: readonly StreamLoudness[] };

/** What another process needs to go on with a phone: only phones read the document. */
export interface CallRecord {
  readonly id: string;
  readonly document: string;
}

/** What an edge asks, and what is answered. */
export interface Questions {
  authenticate: {
    readonly asked: { readonly token: string; readonly ignoreExpiry: boolean };
    readonly answer: Participant;
  };
  admitDevice: {
    readonly asked: { readonly participantId: string; readonly accountId: string };
    readonly answer: null;
  };
  participantOf: { readonly asked: { readonly participantId: string }; readonly answer: Participant | null };
  connectedDevice: { readonly asked: { readonly participantId: string }; readonly answer: DeviceInfo | null };
  resumePoint: {
    readonly asked: { readonly participantId: string; readonly externalId: string };
    readonly answer: ResumePoint | null;
  };
  flush: { readonly asked: Readonly<Record<string, never>>; readonly answer: null };
  /** The records of the edge's calls in the order of their ids, behind the one of this id. */
  calls: {
    readonly asked: { readonly after: string | null };
    readonly answer: { readonly calls: readonly CallRecord[]; readonly isLast: boolean };
  };
}

/** What the leader commands an edge to do, and what that yields. */
export interface Commands {
  sendDtmf: {
    readonly asked: { readonly deviceId: string; readonly dtmf: DtmfDigits };
    readonly answer: null;
  };
  /** What the edge has of a call's signalling, masked. */
  readTrace: {
    readonly asked: { readonly accountId: string; readonly externalId: string };
    readonly answer: CallTrace | null;
  };
  /** The edge forgets that. It answers whether it had something. */
  deleteTrace: {
    readonly asked: { readonly accountId: string; readonly externalId: string };
    readonly answer: boolean;
  };
}

export type CommandName = keyof Commands;

export type Command = {
  [K in CommandName]: { readonly command: K; readonly asked: Commands[K]['asked'] };
}[CommandName];

export type Done = {
  [K in CommandName]: { readonly command: K; readonly answer: Commands[K]['answer'] };
}[CommandName];

export type Question = {
  [K in keyof Questions]: { readonly question: K; readonly asked: Questions[K]['asked'] };
}[keyof Questions];

export type Answer = {
  [K in keyof Questions]: { readonly question: K; readonly answer: Questions[K]['answer'] };
}[keyof Questions];

/** Where somebody listens in the private network. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where a media host of an edge takes the pipes of other edges' hosts. */
export interface HostAddress extends Address {
  /** No two hosts of an edge have the same. */
  readonly id: string;
}

/** Where a device is in the media plane, and what it publishes there. Announcements are devices there, too. */
export interface Placement {
  readonly deviceId: string;
  /** The id of its media host. */
  readonly host: string;
  readonly streamIds: readonly string[];
}

/** All media hosts of an edge that take part in streams between edges, and all that is on any of its hosts. */
export interface Located {
  readonly hosts: readonly HostAddress[];
  readonly placements: readonly Placement[];
}

/** What goes between a media host of an edge and one of another edge, both ways. One without streams is over. */
export interface Crossing {
  /** The edge's own host. */
  readonly host: string;
  readonly otherEdge: string;
  readonly otherHost: string;
  /** The streams that the other host gets. */
  readonly sent: readonly string[];
  /** Where the other host takes pipes, if it sends any stream. */
  readonly from?: { readonly host: string; readonly port: number } | undefined;
}

/** What an edge begins a connection with: all that it has. */
export interface Hello {
  readonly type: 'hello';
  readonly edgeId: string;
  /** Names the process: another one has begun its history anew. */
  readonly process: string;
  readonly kinds: readonly string[];
  /** Whether all devices that the edge has are connected: a new process may be connecting those of the one before. */
  readonly isComplete: boolean;
  /** Also those that have ended, while the leader has not acknowledged all of their history. */
  readonly devices: readonly (StatedDevice & { readonly hasEnded: boolean })[];
  /** What was not acknowledged, the oldest first. */
  readonly history: readonly HistoryEntry[];
  /** Absent while a process that has just started does not know it: what the one before had stated goes on. */
  readonly located?: Located | undefined;
  /** Where its gateway listens for others; absent: nowhere. */
  readonly address?: Address | undefined;
  /** It would go on with calls of an edge that is gone. */
  readonly takesOver: boolean;
}

export type FromEdge =
  | Hello
  | { readonly type: 'history'; readonly entry: HistoryEntry }
  | { readonly type: 'state'; readonly deviceId: string; readonly change: StateChange }
  | { readonly type: 'kind'; readonly kind: string }
  /** It is known where everything is: see {@link Hello.located}. */
  | { readonly type: 'located'; readonly located: Located }
  /** All media hosts that take part from now on. */
  | { readonly type: 'hosts'; readonly hosts: readonly HostAddress[] }
  | { readonly type: 'placed'; readonly placement: Placement }
  | { readonly type: 'removed'; readonly deviceId: string }
  /** All devices that the process before has left are connected. */
  | { readonly type: 'complete' }
  /** It goes on with no calls of other edges any more. */
  | { readonly type: 'takesNoCalls' }
  /** It stops for good, with no device left and all of its history acknowledged: nobody need wait for it. */
  | { readonly type: 'leaves' }
  /** It asks for its lease, and says the last `stamp` that came: see {@link FromLeader} `lease`. */
  | { readonly type: 'alive'; readonly at: number; readonly stamp?: number | undefined }
  /** The record of a call has changed, or the call is over. Revisions grow from 1 in each process of an edge. */
  | {
      readonly type: 'call';
      readonly id: string;
      readonly revision: number;
      readonly document: string | null;
    }
  | ({ readonly type: 'question'; readonly id: number } & Question)
  /** The edge has closed the device that the leader had closed; the device's last entry in the history has this number. */
  | { readonly type: 'closed'; readonly deviceId: string; readonly last: number }
  | ({ readonly type: 'done'; readonly id: number } & Done)
  /** A command could not be carried out. */
  | { readonly type: 'failed'; readonly id: number; readonly failure: Failure };

/** Why a device is closed. `taken-over`: another edge goes on with it, and its other end is to notice nothing. */
export type CloseReason = EndReason | 'taken-over';

export type FromLeader =
  | { readonly type: 'welcome'; readonly epoch: number; readonly acknowledged: number }
  | { readonly type: 'acknowledged'; readonly number: number }
  /** The edge's devices receive all that they are to receive: no other edge's streams are missing any more. */
  | { readonly type: 'settled' }
  /** Records of calls are on disk, up to this revision. */
  | { readonly type: 'callsSaved'; readonly revision: number }
  | {
      readonly type: 'admitted';
      readonly deviceId: string;
      readonly order: Order;
      readonly participant: Participant;
    }
  | { readonly type: 'refused'; readonly deviceId: string; readonly failure: Failure }
  | {
      readonly type: 'deliver';
      readonly deviceId: string;
      readonly delivery: Delivery;
      readonly levelling?: boolean | undefined;
      /** Participants whose devices the leader does not know yet: what the device received of them so far stays. */
      readonly missing?: readonly string[] | undefined;
    }
  | { readonly type: 'watchLevels'; readonly deviceId: string; readonly isWatched: boolean }
  | {
      readonly type: 'byeHeaders';
      readonly deviceId: string;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly type: 'participant'; readonly deviceId: string; readonly participant: Participant }
  /** Somebody begins or ceases to speak in a stream that the device receives. */
  | {
      readonly type: 'speech';
      readonly deviceId: string;
      readonly streamId: string;
      readonly speech: StreamSpeech;
    }
  | { readonly type: 'close'; readonly deviceId: string; readonly reason: CloseReason }
  /** The edge is to go on with a call of an edge that is gone: to connect its device as one that it has carried on. */
  | { readonly type: 'takeOver'; readonly call: CallRecord }
  /**
   * The edge is not given up before its lease is over, which runs from when it asked: `at`, its own words. Without `at` it has
   * not got the lease. `stamp` comes back with the next `alive`: it shows when the two were connected.
   */
  | { readonly type: 'lease'; readonly at?: number | undefined; readonly stamp: number }
  | ({ readonly type: 'command'; readonly id: number } & Command)
  /**
   * What has changed of the edge's crossings; `isAll`: all others are over, but for those with the edges in `awaited`, which
   * the leader does not know yet.
   */
  | {
      readonly type: 'crossings';
      readonly isAll: boolean;
      readonly crossings: readonly Crossing[];
      readonly awaited: readonly string[];
    }
  | ({ readonly type: 'answer'; readonly id: number } & Answer)
  /** A question could not be answered. */
  | { readonly type: 'failed'; readonly id: number; readonly failure: Failure };

/** One end of a connection between an edge and the leader. It keeps the order, and may end at any time. */
export interface Link<Sent> {
  /** What is sent on a connection that has ended is lost. */
  send(message: Sent): void;
  /** Ends the connection; the other end is told. */
  close(): void;
  /** Both ends are in this process. */
  readonly isLocal?: true;
}

/** Receives what comes on a {@link Link}. */
export interface LinkListener<Received> {
  received(message: Received): void;
  /** The connection has ended, by either side. Called once. */
  closed(): void;
}
