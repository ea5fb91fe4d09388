import type { Address, CallRecord, Order } from '../messages.js';

/** What the leader keeps of an edge, in the same commit as what it counts. */
export interface EdgeRecord {
  /** The process whose history was counted, and up to which number. */
  readonly process: string;
  readonly counted: number;
  /** Devices that the leader has closed, and the edge perhaps not yet: the reasons by their ids. */
  readonly closing: Readonly<Record<string, string>>;
  /** Where its gateway and its media hosts listened last. */
  readonly addresses?: readonly Address[] | undefined;
  /** Devices of it were ended without its knowledge. Absent: there were none, or it has stated since what it has. */
  readonly lost?: LostMark | undefined;
}

/** Which devices of an edge were ended because it was away, or connected them again, for too long. */
export interface LostMark {
  /** It was away: those that were admitted up to here. */
  readonly order?: Order | undefined;
  /** Those of an earlier process that had connected by then; in epoch milliseconds of the leader. */
  readonly at: number;
}

export interface StoredEdge {
  readonly id: string;
  readonly record: EdgeRecord;
}

/** Where the leader keeps what it must know of edges after its death. Saving is as of `CoreStore`: in order, with the rest. */
export interface EdgeStore {
  /** Those that were found at the start. */
  edges(): readonly StoredEdge[];
  saveEdge(id: string, record: EdgeRecord): void;
  deleteEdge(id: string): void;
  /** Resolves when everything saved so far is on disk. */
  flush(): Promise<void>;
}

/** Where the leader keeps the records of the edges' calls. Saving is as of `EdgeStore`. */
export interface EdgeCallStore {
  /** In the order of their ids. */
  recordsOf(edgeId: string): readonly CallRecord[];
  /** The edge that a call belongs to; undefined: none, or there is no such call. */
  ownerOf(id: string): string | undefined;
  saveCall(id: string, document: string, edgeId: string): void;
  deleteCall(id: string): void;
  flush(): Promise<void>;
}
