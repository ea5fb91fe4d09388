import type { ApiError } from '../gateway/client.js';

/** What to do about errors that are not explained by their own words. */
const ADVICE: Readonly<Record<string, string>> = {
  PATCHBAY_UNAUTHORIZED: 'Sign in again.',
  PATCHBAY_STORE_UNAVAILABLE:
    'The gateway cannot write to its database: free some space on its disk, see its log.',
};

/** An error, announced to screen readers when it comes. */
export function Problem({ error, id }: { readonly error: ApiError | undefined; readonly id?: string }) {
  const advice = error && ADVICE[error.code];
  return (
    <p class="problem" role="alert" id={id}>
      {error && [error.message, advice].filter((part) => part !== undefined).join(' ')}
    </p>
  );
}
