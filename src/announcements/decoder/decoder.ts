import { type ChildProcess, fork } from 'node:child_process';
import { programPath, runsFromSource } from '../../shared/index.js';
import { SoundError } from './chunk.js';
import type { DecodedSound, DecodeJob } from './decode.js';

export type DecoderAnswer =
  | DecodedSound
  /** `isBad`: the sound is at fault, and the message is for people. */
  | { readonly error: string; readonly isBad: boolean };

/** At most so many processes at once; the files of the others wait. */
const AT_ONCE = 2;
const LIMIT_MS = 60_000;
const HEAP_MB = 256;

/**
 * Decodes files in processes of their own, each for one file: files come from strangers, so that a decoder which fails,
 * hangs or eats memory is ended, and no call stutters meanwhile.
 */
export class Decoder {
  readonly #children = new Set<ChildProcess>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  #closed = false;
  /** Files decoded since the start, those that failed too. */
  decodings = 0;

  /** @throws SoundError when the file cannot be played; Error when the process failed */
  async decode(job: DecodeJob): Promise<DecodedSound> {
    if (this.#underWay >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#underWay += 1;
    try {
      return await this.#run(job);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#underWay -= 1;
    }
  }

  close(): void {
    this.#closed = true;
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #run(job: DecodeJob): Promise<DecodedSound> {
    if (this.#closed) return Promise.reject(new Error('The gateway is shutting down.'));
    this.decodings += 1;
    const child = this.#start();
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS).unref();
    return new Promise<DecodedSound>((resolve, reject) => {
      child.once('message', (message) => {
        child.disconnect();
        const answer = message as DecoderAnswer;
        if (!('error' in answer)) resolve(answer);
        else reject(answer.isBad ? new SoundError(answer.error) : new Error(answer.error));
      });
      child.once('error', reject);
      // After an answer this changes nothing.
      child.once('exit', () => reject(new SoundError('The file could not be decoded.')));
      child.send(job);
    }).finally(() => {
      clearTimeout(timer);
      this.#children.delete(child);
    });
  }

  #start(): ChildProcess {
    const child = fork(programPath('announcements/decoder/main'), [], {
      // Inherited pipes would stay open in the child.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // Unit tests run it from the TypeScript sources.
      execArgv: [...(runsFromSource ? ['--import', 'tsx'] : []), `--max-old-space-size=${HEAP_MB}`],
      env: {},
    });
    this.#children.add(child);
    return child;
  }
}
