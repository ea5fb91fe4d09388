/** A gateway that waits for a leader was told to stop. */
export class StoppedWaiting extends Error {
  override readonly name = 'StoppedWaiting';
}

/**
 * Waits, but not longer than until the gateway is told to stop.
 * @throws StoppedWaiting when that comes first
 */
export async function unlessAborted<T>(wait: Promise<T>, quit: AbortSignal): Promise<T> {
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new StoppedWaiting('It was told to stop while it waited for a leader.'));
    quit.addEventListener('abort', stop);
    if (quit.aborted) stop();
  });
  try {
    return await Promise.race([wait, stopped]);
  } catch (error) {
    if (!quit.aborted || error instanceof StoppedWaiting) throw error;
    throw new StoppedWaiting('It was told to stop while it waited for a leader.', { cause: error });
  } finally {
    quit.removeEventListener('abort', stop);
  }
}
