import { setPriority } from 'node:os';
import { becomeHelper } from '../../../shared/index.js';
import { connect, type Database, forUsage, rows } from '../database.js';
import { type ReaderJob, runJob } from '../../usage-queries.js';

/** The process that reads usage. It talks to the gateway by the IPC channel only, and writes no log. */

/** Rows in one message: the gateway can do other work between two messages. */
const SLICE = 100;
const LOWEST_PRIORITY = 19;

becomeHelper();
setPriority(LOWEST_PRIORITY);
const database = openToRead(process.argv[2]!);
process.on('message', (job) => void serve(job as ReaderJob));

async function serve(job: ReaderJob): Promise<void> {
  try {
    const found: readonly unknown[] = await runJob(forUsage(await database), job);
    for (let at = 0; at < found.length; at += SLICE) await send({ found: found.slice(at, at + SLICE) });
    await send({ done: true });
  } catch (error) {
    await send({ error: error instanceof Error ? error.message : String(error) });
  }
}

/** Resolves when the channel has accepted the message. */
function send(message: object): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

async function openToRead(path: string): Promise<Database> {
  const opened = connect(path);
  await rows(opened, 'PRAGMA query_only = ON');
  // Sorting must not write temporary files.
  await rows(opened, 'PRAGMA temp_store = MEMORY');
  return opened;
}
