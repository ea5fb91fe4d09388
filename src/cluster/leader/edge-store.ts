/** What the leader keeps of an edge, in the same commit as what it counts. */
export interface EdgeRecord {
  /** The process whose history was counted, and up to which number. */
  readonly process: string;
  readonly counted: number;
  /** Devices that the leader has closed, and the edge perhaps not yet: the reasons by their ids. */
  readonly closing: Readonly<Record<string, string>>;
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
