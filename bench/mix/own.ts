import { fork } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import type { Contestant } from './contestant.js';

/**
 * A process of bench/mix/server.ts, which reports its ports when it is ready.
 * @param root a checkout of the gateway, with a slash at the end
 */
function forked(
  name: string,
  role: 'echo' | 'clocked' | 'phones' | 'found',
  root = new URL('../../', import.meta.url),
): Contestant {
  return {
    name,
    codecs: ['PCMU', 'G722', 'opus'],
    carry: async (conversation) => {
      const child = fork(new URL('server.ts', import.meta.url), [role, root.href]);
      child.send(conversation);
      const [ports] = (await once(child, 'message')) as [number[]];
      return {
        pid: child.pid!,
        ports,
        stop: async () => {
          child.kill();
          await once(child, 'exit');
        },
      };
    },
  };
}

/** The least that as many sockets cost in Node. */
export const echo = forked('bare echo', 'echo');

/** The same where each socket sends every 20 ms, whatever came: the phones have gone to sleep, and are woken up. */
export const clockedEcho = forked('... by a clock', 'clocked');

/** The media plane of the gateway. */
export const mediaPlane = forked('media plane', 'phones');

/** The same with phones whose packets come from another address than announced: their sockets cannot be connected. */
export const foundPhones = forked('... not connected', 'found');

const before = process.env['BENCH_BEFORE'];

/** The media plane of another checkout of the gateway, in the folder `BENCH_BEFORE`. */
export const mediaPlaneBefore =
  before === undefined ? undefined : forked('... before', 'phones', pathToFileURL(`${before}/`));
