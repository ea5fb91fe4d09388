import { useSignal } from '@preact/signals';
import { Call } from './call.js';
import type { Failure } from './failures.js';
import { Lobby } from './lobby.js';

/** What somebody brings along when joining. */
export interface Brought {
  readonly token: string;
  /** Microphone and camera; absent: none. It belongs to the call, which stops it. */
  readonly media?: MediaStream;
}

/** Joining a session as a browser participant: first what to bring along, then the call. */
export function Join({ token }: { readonly token: string }) {
  const brought = useSignal<Brought | undefined>(undefined);
  const failure = useSignal<Failure | undefined>(undefined);
  const status = useSignal('');
  return (
    <main class="join">
      <header>
        <h1>Patchbay</h1>
        <output id="status">{status.value}</output>
      </header>
      {brought.value ? (
        <Call
          brought={brought.value}
          status={status}
          onEnd={(why) => {
            brought.value = undefined;
            status.value = '';
            failure.value = why;
          }}
        />
      ) : (
        <Lobby
          token={token}
          onJoin={(what) => {
            failure.value = undefined;
            brought.value = what;
          }}
        />
      )}
      <p id="problem" class="problem" role="alert">
        {failure.value && (
          <>
            <strong>{failure.value.words}</strong> {failure.value.advice}
          </>
        )}
      </p>
    </main>
  );
}
