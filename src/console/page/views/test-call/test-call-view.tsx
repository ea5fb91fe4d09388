import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ask } from '../../gateway/client.js';
import { useLive } from '../../gateway/live.js';
import type { CreatedParticipant, Listed, Participant, Session } from '../../gateway/resources.js';
import { rememberToken } from '../../gateway/tokens.js';
import { Away, Problem, useAction } from '../../parts/index.js';
import { PlaceForm, TrialForm } from './forms.js';
import { Result } from './result.js';
import { isUnderWay, summaryOf, type TestCall } from './result-types.js';

/** How often the figures of a call under way are read: the test caller measures each second. */
const EVERY_MS = 1_000;

interface Shown {
  readonly calls: readonly TestCall[];
  readonly participants: readonly Participant[];
}

/** The built-in phone: place a call with it, try an application with it, and see how that went. */
export function TestCallView({ account }: { readonly account: string }) {
  const path = `/v1/accounts/${encodeURIComponent(account)}`;
  const { value, problem, connected } = useLive<Shown>(`${account} test calls`, {
    account,
    read: async () => {
      const [calls, participants] = await Promise.all([
        ask<Listed<TestCall>>('GET', `${path}/testCalls`),
        ask<Listed<Participant>>('GET', `${path}/participants?limit=200`),
      ]);
      return { calls: calls.items, participants: participants.items };
    },
    concerns: ({ type }) =>
      ['testCall', 'participantCreated', 'participantDeleted', 'deviceConnected', 'deviceLeft'].includes(
        type,
      ),
  });
  const { isBusy, problem: failed, run } = useAction();
  /** The call whose result is shown; empty: the newest. */
  const chosen = useSignal('');
  /** Of the session that this page made. */
  const listener = useSignal<{ readonly callerId: string; readonly id: string } | undefined>(undefined);
  const fresh = useSignal<TestCall | undefined>(undefined);

  const calls = value.value?.calls ?? [];
  const listed = calls.find(({ testCallId }) => testCallId === chosen.value) ?? calls[0];
  const call =
    fresh.value && fresh.value.testCallId === listed?.testCallId ? newer(fresh.value, listed) : listed;
  const followed = listed && isUnderWay(listed) ? listed.testCallId : undefined;
  useEffect(() => {
    if (followed === undefined) return undefined;
    // An error is told by the list, which is read at each event.
    const read = (): void =>
      void ask<TestCall>('GET', `${path}/testCalls/${followed}`).then(
        (now) => (fresh.value = now),
        () => undefined,
      );
    read();
    const timer = setInterval(read, EVERY_MS);
    return () => clearInterval(timer);
  }, [followed]);

  const begin = async (body: object): Promise<void> => {
    const begun = await ask<TestCall>('POST', `${path}/testCalls`, body);
    chosen.value = begun.testCallId;
    fresh.value = begun;
  };
  const place = (participantId: string | undefined): void =>
    void run(async () => {
      if (participantId !== undefined) return begin({ participantId, seconds: 300 });
      const made = await makeSession(path);
      listener.value = made;
      return begin({ participantId: made.callerId, seconds: 300 });
    });
  const listenerId = listener.value?.callerId === call?.participantId ? listener.value?.id : undefined;
  const earlier = calls.filter((one) => one !== listed);
  return (
    <>
      <h1>Test call</h1>
      <Away connected={connected} />
      <Problem error={failed.value ?? problem.value} />
      {call && (
        <Result
          account={account}
          call={call}
          listenerId={listenerId}
          isBusy={isBusy.value}
          hangUp={() => void run(() => ask('DELETE', `${path}/testCalls/${call.testCallId}`))}
        />
      )}
      <div class="cards">
        <section class="card" aria-labelledby="place-title">
          <h2 id="place-title">Place a call</h2>
          <p>
            The gateway has a phone built in. It calls the real SIP port, sings a scale, and says what works
            and what does not.
          </p>
          <PlaceForm participants={value.value?.participants ?? []} isBusy={isBusy.value} place={place} />
        </section>
        <section class="card" aria-labelledby="trial-title">
          <h2 id="trial-title">Try an application</h2>
          <p>
            The gateway plays the Voice API: it sends the events, follows the BXML, and calls itself for each
            transfer. No carrier is needed.
          </p>
          <TrialForm
            isBusy={isBusy.value}
            begin={(trial) => void run(() => begin({ ...trial, seconds: 300 }))}
          />
        </section>
      </div>
      {earlier.length > 0 && (
        <Earlier
          calls={earlier}
          show={(id) => {
            chosen.value = id;
            document.getElementById('content')?.scrollIntoView();
          }}
        />
      )}
    </>
  );
}

/** What was read each second, unless the list has later news. */
const newer = (fresh: TestCall, listed: TestCall): TestCall =>
  isUnderWay(listed) || !isUnderWay(fresh) ? fresh : listed;

/** A session with a participant to call, and one to listen with. */
async function makeSession(path: string): Promise<{ readonly callerId: string; readonly id: string }> {
  const session = await ask<Session>('POST', `${path}/sessions`, { tag: 'test call' });
  const member = async (tag: string): Promise<string> => {
    const { participant, token } = await ask<CreatedParticipant>('POST', `${path}/participants`, {
      tag,
      publishPermissions: ['AUDIO'],
    });
    rememberToken(participant.id, token);
    await ask('PUT', `${path}/sessions/${session.id}/participants/${participant.id}`, {
      sessionId: session.id,
    });
    return participant.id;
  };
  return { callerId: await member('test caller'), id: await member('listener') };
}

function Earlier({
  calls,
  show,
}: {
  readonly calls: readonly TestCall[];
  readonly show: (id: string) => void;
}) {
  return (
    <section class="earlier" aria-labelledby="earlier-title">
      <h2 id="earlier-title">Earlier</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">When</th>
            <th scope="col">What became of it</th>
          </tr>
        </thead>
        <tbody>
          {calls.map((call) => (
            <tr key={call.testCallId}>
              <td>
                <time dateTime={call.startedAt}>{new Date(call.startedAt).toLocaleTimeString()}</time>
              </td>
              <td>
                <button type="button" class="name" onClick={() => show(call.testCallId)}>
                  {summaryOf(call)}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
