import { useSignal } from '@preact/signals';
import { ask } from '../gateway/client.js';
import { useLive } from '../gateway/live.js';
import { type Listed, nameOf, type Session } from '../gateway/resources.js';
import { Away, Problem, Since, useAction } from '../parts/index.js';
import { goTo, linkTo } from '../route.js';

/** Sessions of an account that are read; of more, the newest are missing. */
const SHOWN = 1_000;

/** The list has the oldest first, page by page. */
async function readSessions(path: string): Promise<ShownSessions> {
  const sessions: Session[] = [];
  let cursor = '';
  do {
    const page = await ask<Listed<Session>>('GET', `${path}?limit=200${cursor}`);
    sessions.push(...page.items);
    cursor = page.next === undefined ? '' : `&cursor=${page.next}`;
  } while (cursor !== '' && sessions.length < SHOWN);
  return { sessions: sessions.reverse(), hasMore: cursor !== '' };
}

interface ShownSessions {
  readonly sessions: readonly Session[];
  /** There are more than are shown. */
  readonly hasMore: boolean;
}

/** The sessions of an account, and a form for another one. */
export function Sessions({ account }: { readonly account: string }) {
  const path = `/v1/accounts/${encodeURIComponent(account)}/sessions`;
  const tag = useSignal('');
  const { value, problem, connected } = useLive<ShownSessions>(account, {
    account,
    read: () => readSessions(path),
    concerns: ({ type }) => type === 'sessionCreated' || type === 'sessionDeleted',
    // The whole list is read: on a busy gateway, not after every session.
    pauseMs: 1_000,
  });
  const { isBusy, problem: failed, run } = useAction();
  const create = async (): Promise<void> => {
    const session = await ask<Session>('POST', path, tag.value === '' ? {} : { tag: tag.value });
    goTo(linkTo(account, 'sessions', session.id));
  };
  const shown = value.value;
  return (
    <>
      <div class="title">
        <h1>Sessions</h1>
        <form
          class="inline"
          id="new-session"
          onSubmit={(event) => {
            event.preventDefault();
            void run(create);
          }}
        >
          <input
            aria-label="Tag of a new session"
            placeholder="Tag, such as support"
            maxLength={50}
            value={tag.value}
            onInput={(event) => (tag.value = event.currentTarget.value)}
          />
          <button type="submit" disabled={isBusy.value}>
            New session
          </button>
        </form>
      </div>
      <Problem error={failed.value ?? problem.value} />
      <Away connected={connected} />
      {shown?.sessions.length === 0 && (
        <div class="empty">
          <h2>No sessions yet</h2>
          <p>A session is a call: phones, browsers and programs that can hear each other.</p>
        </div>
      )}
      {shown !== undefined && shown.sessions.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Session</th>
              <th scope="col">Age</th>
              <th scope="col">Id</th>
            </tr>
          </thead>
          <tbody>
            {shown.sessions.map((session) => (
              <tr key={session.id}>
                <td>
                  <a href={linkTo(account, 'sessions', session.id)}>{nameOf(session)}</a>
                </td>
                <td>
                  <Since moment={session.createdAt} />
                </td>
                <td>
                  <code>{session.id}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {shown?.hasMore === true && (
        <p class="hint">Only the {SHOWN} oldest are shown. REST lists all of them.</p>
      )}
    </>
  );
}
