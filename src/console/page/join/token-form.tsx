import { type Signal, useSignal } from '@preact/signals';
import { goTo } from '../route.js';

/** Asks for a participant token, and goes on to joining with it. */
export function TokenForm() {
  const token = useSignal('');
  return (
    <form
      id="token-form"
      onSubmit={(event) => {
        event.preventDefault();
        goTo(`#token=${token.value.trim()}`);
      }}
    >
      <TokenField token={token} />
      <button type="submit" class="secondary">
        Continue
      </button>
    </form>
  );
}

/** Where a participant token is pasted. */
export function TokenField({ token }: { readonly token: Signal<string> }) {
  return (
    <label>
      Participant token
      <textarea
        id="token"
        rows={3}
        spellcheck={false}
        autocomplete="off"
        required
        value={token.value}
        onInput={(event) => (token.value = event.currentTarget.value)}
      />
    </label>
  );
}
