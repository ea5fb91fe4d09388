import { useSignal } from '@preact/signals';
import { ask } from '../../gateway/client.js';
import type { CallTrace, SipMessage } from '../../gateway/resources.js';
import { Dialog, Problem, useAction } from '../../parts/index.js';

interface LadderOptions {
  readonly trace: CallTrace;
  /** `/v1/accounts/A/calls/C/trace`. */
  readonly path: string;
  readonly onForgotten: () => void;
}

/** The SIP messages of a call, as a ladder between the phone and the gateway. */
export function Ladder({ trace: { items, left }, path, onForgotten }: LadderOptions) {
  const [first] = items;
  const isAsking = useSignal(false);
  if (!first) return null;
  const startedAt = Date.parse(first.at);
  return (
    <section class="card" aria-labelledby="ladder-title">
      <div class="title">
        <h2 id="ladder-title">SIP messages</h2>
        <div class="buttons">
          <a class="button secondary" href={`${path}?format=text`} download="call.txt">
            Download as text
          </a>
          <button type="button" class="secondary" onClick={() => (isAsking.value = true)}>
            Forget them
          </button>
        </div>
      </div>
      <div class="ladder-ends" aria-hidden="true">
        <span>Phone</span>
        <span>Gateway</span>
      </div>
      <ol class="ladder">
        {items.map((message, index) => (
          <Message
            key={`${index}${message.at}`}
            message={message}
            ms={Date.parse(message.at) - startedAt}
            peer={peerOf(message) === peerOf(items[index - 1]) ? undefined : peerOf(message)}
          />
        ))}
      </ol>
      {left > 0 && <p class="hint">{left} later messages were not kept: this call has too many.</p>}
      <p class="hint">
        Tokens, credentials and keys are masked. A dashed arrow is a message that came again.
      </p>
      {isAsking.value && (
        <Forget path={path} onForgotten={onForgotten} onClose={() => (isAsking.value = false)} />
      )}
    </section>
  );
}

const peerOf = (message: SipMessage | undefined): string | undefined =>
  message?.direction === 'in' ? message.from : message?.to;

function Message({
  message,
  ms,
  peer,
}: {
  readonly message: SipMessage;
  readonly ms: number;
  /** Where the phone's end is, when that is another than before. */
  readonly peer: string | undefined;
}) {
  const isOpen = useSignal(false);
  const { direction, summary, status = 0, repeated, text } = message;
  const way = direction === 'in' ? 'to the gateway' : 'to the phone';
  const kind = `${direction} ${repeated ? 'repeated' : ''} ${status >= 400 ? 'failed' : ''}`;
  return (
    <li class={kind}>
      {peer !== undefined && <span class="peer">{peer}</span>}
      <button type="button" aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
        <span class="time">{(ms / 1000).toFixed(3)}</span>
        <span class="arrow">
          <span class="summary">{summary}</span>
          <span class="spoken">
            , {way}
            {repeated ? ', again' : ''}
          </span>
        </span>
      </button>
      {isOpen.value && (
        <pre tabIndex={0} role="region" aria-label={`Text of ${summary}`}>
          {text}
        </pre>
      )}
    </li>
  );
}

function Forget({
  path,
  onForgotten,
  onClose,
}: {
  readonly path: string;
  readonly onForgotten: () => void;
  readonly onClose: () => void;
}) {
  const { isBusy, problem, run } = useAction();
  return (
    <Dialog title="Forget the SIP messages?" onClose={onClose}>
      <p>They hold numbers and names. The call itself stays in the list and in usage.</p>
      <div class="buttons">
        <button
          type="button"
          class="danger"
          disabled={isBusy.value}
          onClick={() =>
            void run(async () => {
              await ask('DELETE', path);
              onClose();
              onForgotten();
            })
          }
        >
          Forget them
        </button>
        <button type="button" class="secondary" onClick={onClose}>
          Keep them
        </button>
      </div>
      <Problem error={problem.value} />
    </Dialog>
  );
}
