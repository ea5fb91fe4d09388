import { NUMBER_COLUMNS, USAGE_COLUMNS } from './usage-queries.js';

/** A table that is moved from one engine to another, with all of its rows. */
export interface MovedTable {
  readonly name: string;
  /** By which it is ordered and read in slices. */
  readonly keys: readonly string[];
  readonly texts: readonly string[];
  readonly numbers: readonly string[];
  /** Columns of JSON. */
  readonly documents: readonly string[];
}

const byId = (name: string, more: Partial<MovedTable>): MovedTable => ({
  name,
  keys: ['id'],
  texts: ['id'],
  numbers: [],
  documents: [],
  ...more,
});

/** All tables of the store but `edges`, which are of processes that have ended; calls belong to the next edge that asks. */
export const MOVED_TABLES: readonly MovedTable[] = [
  byId('sessions', { documents: ['document'] }),
  byId('participants', { documents: ['document'] }),
  {
    name: 'resume_points',
    keys: ['participant_id', 'external_id'],
    texts: ['participant_id', 'external_id'],
    numbers: ['saved'],
    documents: ['document'],
  },
  byId('calls', { texts: ['id', 'sealed'] }),
  byId('programs', { texts: ['id', 'sealed'] }),
  byId('webhooks', { documents: ['document'] }),
  byId('usage_records', {
    texts: USAGE_COLUMNS.filter((column) => !NUMBER_COLUMNS.includes(column)),
    numbers: NUMBER_COLUMNS,
  }),
];
