import { useSignal } from '@preact/signals';
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
      <button type="submit" class="secondary">
        Continue
      </button>
    </form>
  );
}
