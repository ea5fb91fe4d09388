import { computed, signal } from '@preact/signals';

/** What the page shows. An account's views have its id, so that a link to one can be passed on. */
export type Route =
  | { readonly view: 'home' }
  | { readonly view: 'join'; readonly token: string }
  | { readonly view: 'sessions' | 'gateway'; readonly account: string }
  | { readonly view: 'session'; readonly account: string; readonly id: string }
  | { readonly view: 'test'; readonly account: string }
  | { readonly view: 'calls'; readonly account: string }
  | { readonly view: 'call'; readonly account: string; readonly id: string }
  | { readonly view: 'unknown'; readonly account?: string };

const hash = signal(location.hash);
globalThis.addEventListener('hashchange', () => {
  hash.value = location.hash;
});

/** The route of the address, whose fragment never reaches a server or its logs. */
export const route = computed(() => routeOf(hash.value));

/** Reads `#token=...` (join), `#/` (home), `#/join` and `#/ACCOUNT/view/id`. */
function routeOf(fragment: string): Route {
  if (!fragment.startsWith('#/')) {
    const token = new URLSearchParams(fragment.slice(1)).get('token');
    return token === null ? { view: 'home' } : { view: 'join', token };
  }
  const [account = '', view = '', id = ''] = fragment.slice(2).split('/').map(decoded);
  if (account === '') return { view: 'home' };
  if (account === 'join') return { view: 'join', token: '' };
  switch (view) {
    case '':
    case 'sessions':
      return id === '' ? { view: 'sessions', account } : { view: 'session', account, id };
    case 'test':
      return { view: 'test', account };
    case 'gateway':
      return { view, account };
    case 'calls':
      return id === '' ? { view: 'calls', account } : { view: 'call', account, id };
    default:
      return { view: 'unknown', account };
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The fragment of a view of an account, for links. */
export function linkTo(account: string, view: string, id = ''): string {
  return `#/${[account, view, id]
    .filter((part) => part !== '')
    .map(encodeURIComponent)
    .join('/')}`;
}

export function goTo(fragment: string): void {
  location.hash = fragment;
}
