import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import { askWhoIsSignedIn, me } from './gateway/signed-in.js';
import { useAction, Problem } from './parts/index.js';
import { Join } from './join/index.js';
import { linkTo, type Route, route } from './route.js';
import { Account, Home } from './views/index.js';

/** The whole page: what its address says, for whoever is signed in. */
function Console() {
  const { problem, run } = useAction();
  const current = route.value;
  const needsAccount = current.view !== 'join';
  useEffect(() => {
    if (needsAccount && me.value === undefined) void run(askWhoIsSignedIn);
  }, [needsAccount]);
  if (current.view === 'join') return <Join token={current.token} />;
  if (me.value) return <SignedIn current={current} />;
  if (!problem.value) return null;
  return (
    <>
      <Problem error={problem.value} />
      <Home wanted={undefined} />
    </>
  );
}

function SignedIn({ current }: { readonly current: Route }) {
  const accounts = me.value?.accounts ?? [];
  const [first] = accounts;
  const account = 'account' in current ? current.account : undefined;
  useEffect(() => {
    if (current.view === 'home' && first !== undefined) location.replace(linkTo(first, 'sessions'));
  }, [current.view, first]);
  if (account === undefined || !accounts.includes(account)) return <Home wanted={account} />;
  return <Account route={current} account={account} />;
}

render(<Console />, document.getElementById('console')!);
