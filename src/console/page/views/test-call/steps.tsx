import type { Step } from './result-types.js';

const KINDS = { request: 'Event', verb: 'BXML', call: 'SIP call', note: 'Note' } as const;

/** The steps of a trial, one after the other. */
export function Steps({ steps }: { readonly steps: readonly Step[] }) {
  return (
    <div class="trial-steps">
      <h3>Steps</h3>
      <ol>
        {steps.map((step, index) => (
          <li key={index} class={step.isFault === true ? 'fault' : undefined}>
            <p>
              <time dateTime={step.at}>{new Date(step.at).toLocaleTimeString()}</time>{' '}
              <span class="step-kind">{KINDS[step.kind]}</span> {step.text}
            </p>
            {step.url !== undefined && (
              <p class="hint">
                {step.method} {step.url}
              </p>
            )}
            <Text title="What was sent" text={step.request} />
            <Text title="BXML" text={step.response} />
          </li>
        ))}
      </ol>
    </div>
  );
}

function Text({ title, text }: { readonly title: string; readonly text: string | undefined }) {
  if (text === undefined || text === '') return null;
  return (
    <details>
      <summary>{title}</summary>
      <pre tabIndex={0}>{text}</pre>
    </details>
  );
}
