/** The part of `process` that tells of signals. */
interface SignalSource {
  on(event: 'SIGTERM' | 'SIGINT' | 'SIGHUP', listener: (signal: NodeJS.Signals) => void): unknown;
}

/**
 * One wish to stop often comes as several signals: a supervisor or a terminal signals the whole process group, and
 * npm passes on to its child what it got itself. Nobody means a second one within so many ms.
 */
const ONE_WISH_MS = 1_000;

/**
 * Takes one step for each wish to stop, the last again and again. A closed terminal (SIGHUP) wishes what Ctrl-C and
 * supervisors wish.
 * @param now a clock that is never set, in ms
 */
export function onStopSignals(
  source: SignalSource,
  steps: readonly ((signal: NodeJS.Signals) => void)[],
  now: () => number = () => performance.now(),
): void {
  let counted = 0;
  let last = -Infinity;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (now() - last < ONE_WISH_MS) return;
    last = now();
    const step = steps[Math.min(counted, steps.length - 1)];
    counted += 1;
    step?.(signal);
  };
  source.on('SIGTERM', onSignal);
  source.on('SIGINT', onSignal);
  source.on('SIGHUP', onSignal);
}
