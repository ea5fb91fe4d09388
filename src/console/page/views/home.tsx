import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { me, signIn } from '../gateway/signed-in.js';
import { Problem, useAction } from '../parts/index.js';
import { TokenForm } from '../join/index.js';

/**
 * The first screen: sign in to an account, or join by a token.
 * @param wanted the account of the address, which is not open
 */
export function Home({ wanted }: { readonly wanted: string | undefined }) {
  const developmentSignIn = me.value?.developmentSignIn === true;
  return (
    <main class="home">
      <header>
        <h1>Patchbay</h1>
        <p class="lead">Phones and browsers in one call. See who hears whom, and change it.</p>
      </header>
      <div class="cards">
        <section class="card" aria-labelledby="sign-in-title">
          <h2 id="sign-in-title">Sign in</h2>
          {wanted !== undefined && <p>Sign in to account {wanted}.</p>}
          <SignIn developmentSignIn={developmentSignIn} />
        </section>
        <section class="card" aria-labelledby="join-title">
          <h2 id="join-title">Join with a token</h2>
          <p>Were you sent a participant token? You need no account.</p>
          <TokenForm />
        </section>
      </div>
      <footer>
        <Documents />
      </footer>
    </main>
  );
}

function SignIn({ developmentSignIn }: { readonly developmentSignIn: boolean }) {
  const { isBusy, problem, run } = useAction();
  const user = useSignal('');
  const password = useSignal('');
  return (
    <>
      {developmentSignIn && (
        <div class="offer">
          <button
            type="button"
            id="development"
            disabled={isBusy.value}
            onClick={() => void run(() => signIn())}
          >
            Open the development account
          </button>
          <p class="hint">No accounts are configured, so this gateway has one that everybody knows.</p>
        </div>
      )}
      <form
        id="sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          void run(() => signIn({ user: user.value, password: password.value }));
        }}
      >
        <label>
          User
          <input
            name="user"
            autocomplete="username"
            autocapitalize="none"
            required
            value={user.value}
            onInput={(event) => (user.value = event.currentTarget.value)}
          />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            value={password.value}
            onInput={(event) => (password.value = event.currentTarget.value)}
          />
        </label>
        <button type="submit" class={developmentSignIn ? 'secondary' : ''} disabled={isBusy.value}>
          Sign in
        </button>
        <Problem error={problem.value} />
      </form>
    </>
  );
}

/** A link to the documents for those who may read them: often nobody who comes by a proxy may. */
function Documents() {
  const isOffered = useSignal(false);
  useEffect(() => {
    void fetch('/openapi.json', { method: 'HEAD' })
      .then(({ ok }) => (isOffered.value = ok))
      .catch(() => undefined);
  }, []);
  return (
    <a id="documents" href="/docs" hidden={!isOffered.value}>
      REST API
    </a>
  );
}
