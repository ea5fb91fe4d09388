import type { ReadonlySignal } from '@preact/signals';

/** Says that what is shown may be old, while the gateway cannot be reached. */
export function Away({ connected }: { readonly connected: ReadonlySignal<boolean> }) {
  if (connected.value) return null;
  return (
    <p class="notice" role="status">
      The gateway is away. This is what it said last; the page goes on by itself.
    </p>
  );
}
