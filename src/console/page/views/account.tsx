import type { ComponentChildren } from 'preact';
import { me, signOut } from '../gateway/signed-in.js';
import { Problem, useAction } from '../parts/index.js';
import { goTo, linkTo, type Route } from '../route.js';
import { Actions } from './actions.js';
import { GatewayView } from './gateway.js';
import { Calls, CallView } from './calls/index.js';
import { SessionView } from './session/index.js';
import { Sessions } from './sessions.js';
import { TestCallView } from './test-call/index.js';

interface AccountOptions {
  readonly account: string;
  readonly route: Route;
}

/** What the navigation offers: the view's name in addresses, and its title. */
const VIEWS = [
  ['sessions', 'Sessions'],
  ['calls', 'Calls'],
  ['test', 'Test call'],
  ['gateway', 'Gateway'],
] as const;

/** The views of an account, with the navigation between them. */
export function Account({ account, route }: AccountOptions) {
  return (
    <>
      <a class="skip" href="#content" onClick={skipToContent}>
        Skip to the content
      </a>
      <header class="bar">
        <span class="brand">Patchbay</span>
        <nav aria-label="Views">
          {VIEWS.map(([view, title]) => (
            <a
              key={view}
              href={linkTo(account, view)}
              aria-current={isWithin(route, view) ? 'page' : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
        <AccountMenu account={account} />
      </header>
      <main id="content" tabIndex={-1}>
        {viewOf(route, account)}
      </main>
      <Actions />
    </>
  );
}

/** The address keeps the view, so the link's own jump must not happen. */
function skipToContent(event: Event): void {
  event.preventDefault();
  document.getElementById('content')?.focus();
}

const isWithin = (route: Route, view: string): boolean => route.view === view || `${route.view}s` === view;

function viewOf(route: Route, account: string): ComponentChildren {
  switch (route.view) {
    case 'home':
    case 'join':
    case 'unknown':
      return (
        <>
          <h1>Nothing is here</h1>
          <p>
            This address names no view. <a href={linkTo(account, 'sessions')}>All sessions</a>
          </p>
        </>
      );
    case 'sessions':
      return <Sessions account={account} />;
    case 'test':
      return <TestCallView account={account} key={account} />;
    case 'gateway':
      return <GatewayView account={account} key={account} />;
    case 'calls':
      return <Calls account={account} key={account} />;
    case 'call':
      return <CallView account={account} id={route.id} key={route.id} />;
    case 'session':
      return <SessionView account={account} id={route.id} key={route.id} />;
  }
}

function AccountMenu({ account }: { readonly account: string }) {
  const { isBusy, problem, run } = useAction();
  const accounts = me.value?.accounts ?? [];
  return (
    <div class="account">
      {accounts.length > 1 ? (
        <select
          aria-label="Account"
          value={account}
          onChange={(event) => goTo(linkTo(event.currentTarget.value, 'sessions'))}
        >
          {accounts.map((id) => (
            <option key={id}>{id}</option>
          ))}
        </select>
      ) : (
        <span class="quiet-text" title="Account">
          {account}
        </span>
      )}
      <button
        type="button"
        class="quiet"
        id="sign-out"
        disabled={isBusy.value}
        onClick={() => void run(signOut)}
      >
        Sign out
      </button>
      <Problem error={problem.value} />
    </div>
  );
}
