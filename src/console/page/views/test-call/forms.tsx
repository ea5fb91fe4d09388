import { type Signal, useSignal } from '@preact/signals';
import { nameOf, type Participant } from '../../gateway/resources.js';

interface PlaceOptions {
  readonly participants: readonly Participant[];
  readonly isBusy: boolean;
  /** @param participantId undefined: one is made, and another one to listen */
  readonly place: (participantId: string | undefined) => void;
}

/** Whom to call. */
export function PlaceForm({ participants, isBusy, place }: PlaceOptions) {
  const chosen = useSignal('');
  const free = participants.filter(({ device }) => !device);
  return (
    <form
      id="place-test-call"
      onSubmit={(event) => {
        event.preventDefault();
        place(free.some(({ id }) => id === chosen.value) ? chosen.value : undefined);
      }}
    >
      <label>
        Whom to call
        <select
          name="participant"
          value={chosen.value}
          onChange={(event) => (chosen.value = event.currentTarget.value)}
        >
          <option value="">A new session and a listener</option>
          {free.map((participant) => (
            <option key={participant.id} value={participant.id}>
              {nameOf(participant)}
              {participant.sessions.length === 0 ? ' (in no session)' : ''}
            </option>
          ))}
        </select>
      </label>
      <div class="buttons">
        <button type="submit" disabled={isBusy}>
          Place a test call
        </button>
      </div>
    </form>
  );
}

/** Optional fields of a trial: name in REST, words, and what it is when it is left out. */
const MORE = [
  ['from', 'Caller', '+15555550100'],
  ['to', 'Called number', '+15555550199'],
  ['disconnectUrl', 'Disconnect URL', 'none'],
  ['username', 'User of the application', 'none'],
  ['password', 'Its password', 'none'],
] as const;

const EXAMPLE = `<Response>
  <Transfer>
    <SipUri uui="TOKEN;encoding=jwt">sip:127.0.0.1:5060</SipUri>
  </Transfer>
</Response>`;

interface TrialOptions {
  readonly isBusy: boolean;
  readonly begin: (trial: object) => void;
}

/** An application to be tried, by its answer URL or by the BXML that it would answer. */
export function TrialForm({ isBusy, begin }: TrialOptions) {
  const by = useSignal<'url' | 'bxml'>('url');
  const [url, bxml, direction] = [useSignal(''), useSignal(''), useSignal('outbound')];
  const more = useSignal<Readonly<Record<string, string>>>({});
  const submit = (event: Event): void => {
    event.preventDefault();
    const given = Object.entries(more.value).filter(([, value]) => value.trim() !== '');
    begin({
      ...(by.value === 'url' ? { answerUrl: url.value.trim() } : { bxml: bxml.value }),
      direction: direction.value,
      ...Object.fromEntries(given),
    });
  };
  return (
    <form id="begin-trial" onSubmit={submit}>
      <fieldset>
        <legend>What to try</legend>
        <Choice name="by" value="url" chosen={by} label="An answer URL" />
        <Choice name="by" value="bxml" chosen={by} label="BXML" />
      </fieldset>
      {by.value === 'url' ? (
        <label>
          Answer URL
          <input
            name="answerUrl"
            type="url"
            required
            placeholder="http://127.0.0.1:3000/answer"
            value={url.value}
            onInput={(event) => (url.value = event.currentTarget.value)}
          />
        </label>
      ) : (
        <label>
          BXML
          <textarea
            name="bxml"
            rows={6}
            required
            spellcheck={false}
            placeholder={EXAMPLE}
            value={bxml.value}
            onInput={(event) => (bxml.value = event.currentTarget.value)}
          />
        </label>
      )}
      <details>
        <summary>More</summary>
        <div class="more">
          <fieldset>
            <legend>First event</legend>
            <Choice
              name="direction"
              value="outbound"
              chosen={direction}
              label="answer (the application called)"
            />
            <Choice
              name="direction"
              value="inbound"
              chosen={direction}
              label="initiate (somebody calls it)"
            />
          </fieldset>
          {MORE.map(([name, title, usual]) => (
            <label key={name}>
              {title}
              <input
                name={name}
                {...(name === 'password' && { type: 'password' as const })}
                autocomplete="off"
                placeholder={usual}
                value={more.value[name] ?? ''}
                onInput={(event) => (more.value = { ...more.value, [name]: event.currentTarget.value })}
              />
            </label>
          ))}
        </div>
      </details>
      <div class="buttons">
        <button type="submit" class="secondary" disabled={isBusy}>
          Begin the trial
        </button>
      </div>
    </form>
  );
}

interface ChoiceOptions<T extends string> {
  readonly name: string;
  readonly value: T;
  readonly chosen: Signal<T>;
  readonly label: string;
}

function Choice<T extends string>({ name, value, chosen, label }: ChoiceOptions<T>) {
  return (
    <label>
      <input
        type="radio"
        name={name}
        value={value}
        checked={chosen.value === value}
        onChange={() => (chosen.value = value)}
      />
      {label}
    </label>
  );
}
