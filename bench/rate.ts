/** How much is done in a second, by several callers, each of which does one thing after the other. @param work returns how much it did */
export async function rate(
  callers: number,
  ms: number,
  work: (caller: number) => Promise<number>,
): Promise<number> {
  const startedAt = performance.now();
  let done = 0;
  const call = async (caller: number): Promise<void> => {
    while (performance.now() - startedAt < ms) {
      const count = await work(caller);
      done += count;
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)));
  return (done * 1_000) / (performance.now() - startedAt);
}
