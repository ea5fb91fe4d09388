import { setPriority } from 'node:os';
import { becomeHelper } from '../../shared/index.js';
import { SoundError } from './chunk.js';
import { decode, type DecodeJob } from './decode.js';
import type { DecoderAnswer } from './decoder.js';

/** The process that decodes one file and ends. It talks to the gateway by the IPC channel only, and writes no log. */

const LOW_PRIORITY = 10;

becomeHelper();
setPriority(LOW_PRIORITY);
process.once('message', (job) => void serve(job as DecodeJob));

async function serve(job: DecodeJob): Promise<void> {
  let answer: DecoderAnswer;
  try {
    answer = await decode(job);
  } catch (error) {
    const isBad = error instanceof SoundError;
    answer = { error: error instanceof Error ? error.message : String(error), isBad };
  }
  // The gateway closes the channel when it has the answer, and that ends this process.
  process.send!(answer);
}
