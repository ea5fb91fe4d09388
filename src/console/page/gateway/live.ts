import { useSignal, type ReadonlySignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { type GatewayEvent, readEvents } from './events.js';
import { ApiError } from './client.js';

/** What a view shows of the gateway. */
interface Live<T> {
  /** Undefined until it was read for the first time. */
  readonly value: ReadonlySignal<T | undefined>;
  readonly problem: ReadonlySignal<ApiError | undefined>;
  /** False while events are not read: what is shown may be old. */
  readonly connected: ReadonlySignal<boolean>;
  /** Reads it anew, for what no event tells of. */
  readonly refresh: () => void;
}

/** Changes that come at once are read at once, then together: reading takes longer than being told of them. */
const PAUSE_MS = 80;

interface LiveOptions<T> {
  readonly account: string;
  readonly sessionId?: string;
  /** Reads all that is shown. */
  readonly read: () => Promise<T>;
  /** Whether an event changes what is shown, so that it has to be read anew. */
  readonly concerns: (event: GatewayEvent) => boolean;
  /** Least time between two reads, where reading costs more; default 80 ms. */
  readonly pauseMs?: number;
  /** Is told of every event. */
  readonly happened?: (event: GatewayEvent) => void;
}

/**
 * Keeps what a view shows up to date: it is read once, and again after each event that concerns it. So the page has no
 * rules of its own about what follows from an event, and cannot drift from what the gateway says.
 * @param key reads another thing when it changes
 */
export function useLive<T>(key: string, options: LiveOptions<T>): Live<T> {
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  const connected = useSignal(true);
  /** The key for which the view reads: answers for another one come too late. */
  const current = useRef('');
  const refreshNow = useRef<() => void>(() => undefined);
  useEffect(() => {
    current.current = key;
    value.value = undefined;
    problem.value = undefined;
    const state = { isReading: false, isStale: false };
    const refresh = async (): Promise<void> => {
      state.isStale = true;
      if (state.isReading) return;
      state.isReading = true;
      // A loop, since something may happen while it is read.
      while (state.isStale) {
        state.isStale = false;
        try {
          const read = await options.read();
          if (current.current !== key) return;
          value.value = read;
          problem.value = undefined;
        } catch (error) {
          problem.value = error instanceof ApiError ? error : new ApiError(0, '', String(error));
        }
        await new Promise((resolve) => setTimeout(resolve, options.pauseMs ?? PAUSE_MS));
      }
      state.isReading = false;
    };
    refreshNow.current = () => void refresh();
    const stop = readEvents(options.account, options.sessionId, {
      begin: () => void refresh(),
      happened: (event) => {
        options.happened?.(event);
        if (options.concerns(event)) void refresh();
      },
      connected: (isConnected) => {
        connected.value = isConnected;
      },
    });
    return stop;
  }, [key]);
  return { value, problem, connected, refresh: () => refreshNow.current() };
}
