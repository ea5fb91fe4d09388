import { useComputed, useSignal } from '@preact/signals';
import { useMemo } from 'preact/hooks';
import { ask } from '../../gateway/client.js';
import type { GatewayEvent } from '../../gateway/events.js';
import { useLive } from '../../gateway/live.js';
import { nameOf, type SessionDetail } from '../../gateway/resources.js';
import { Away, Problem, useAction } from '../../parts/index.js';
import { linkTo } from '../../route.js';
import { DeleteSession, NewParticipant, PlaySound } from './dialogs.js';
import { Levels } from './levels.js';
import { Matrix } from './matrix.js';
import { ParticipantDialog } from './participant-dialog.js';
import type { Patch } from './patching.js';
import { Presets } from './presets.js';

/** Events that change neither members, streams nor subscriptions. */
const OTHER_NEWS = new Set(['speaking', 'levels', 'dtmf', 'quality', 'announcement', 'testCall']);

/** What a session's dialogs need to ask the gateway. */
export interface SessionContext {
  readonly account: string;
  /** `/v1/accounts/A`. */
  readonly accountPath: string;
  /** `/v1/accounts/A/sessions/S`. */
  readonly sessionPath: string;
  readonly session: SessionDetail;
}

type Opened =
  { readonly dialog: 'new' | 'play' | 'delete' } | { readonly dialog: 'participant'; readonly id: string };

/** The participant whose facts are shown. */
const openedId = (opened: Opened | undefined): string | undefined =>
  opened?.dialog === 'participant' ? opened.id : undefined;

/** A session: who hears whom, and everything that can be done to it. */
export function SessionView({ account, id }: { readonly account: string; readonly id: string }) {
  const accountPath = `/v1/accounts/${encodeURIComponent(account)}`;
  const sessionPath = `${accountPath}/sessions/${encodeURIComponent(id)}`;
  const opened = useSignal<Opened | undefined>(undefined);
  const levels = useMemo(() => new Levels(), [id]);
  const { value, problem, connected } = useLive<SessionDetail>(sessionPath, {
    account,
    sessionId: id,
    read: () => ask('GET', sessionPath),
    concerns: ({ type, data }: GatewayEvent) =>
      !OTHER_NEWS.has(type) || (type === 'quality' && data['participantId'] === openedId(opened.value)),
    happened: (event) => levels.happened(event),
  });
  const { isBusy, problem: failed, run } = useAction();
  const isGone = useComputed(() => problem.value?.status === 404);
  const close = (): void => {
    opened.value = undefined;
  };
  const session = value.value;
  if (isGone.value) {
    return (
      <>
        <h1>This session is over</h1>
        <p>
          It was deleted, or it has expired. <a href={linkTo(account, 'sessions')}>All sessions</a>
        </p>
      </>
    );
  }
  if (!session) return <Problem error={problem.value} />;
  const context: SessionContext = { account, accountPath, sessionPath, session };
  const { participants } = session;
  /** Changes subscriptions one after the other; the rest is not changed when one fails. */
  const patch = (patches: readonly Patch[]): void =>
    void run(async () => {
      for (const { participantId, subscriptions } of patches) {
        await ask('PUT', `${sessionPath}/participants/${participantId}/subscriptions`, subscriptions);
      }
    });
  const shown = opened.value;
  const chosen = shown?.dialog === 'participant' && participants.find((one) => one.id === shown.id);
  return (
    <>
      <nav class="crumbs" aria-label="Where you are">
        <a href={linkTo(account, 'sessions')}>Sessions</a>
      </nav>
      <div class="title">
        <h1>{nameOf(session)}</h1>
        <div class="buttons">
          <button type="button" id="add-participant" onClick={() => (opened.value = { dialog: 'new' })}>
            Add a participant
          </button>
          <button
            type="button"
            class="secondary"
            disabled={participants.every(({ device }) => !device)}
            onClick={() => (opened.value = { dialog: 'play' })}
          >
            Play a sound
          </button>
          <button type="button" class="secondary" onClick={() => (opened.value = { dialog: 'delete' })}>
            Delete
          </button>
        </div>
      </div>
      <Away connected={connected} />
      <Problem error={failed.value ?? problem.value} />
      {participants.length === 0 ? (
        <div class="empty">
          <h2>Nobody is in this session</h2>
          <p>Add a participant, and let it in by a browser, a phone or a program.</p>
        </div>
      ) : (
        <>
          <Presets session={session} isBusy={isBusy.value} patch={patch} />
          <Matrix
            participants={participants}
            levels={levels}
            patch={(one) => patch([one])}
            open={(participantId) => (opened.value = { dialog: 'participant', id: participantId })}
          />
        </>
      )}
      {shown?.dialog === 'new' && <NewParticipant context={context} onClose={close} />}
      {shown?.dialog === 'play' && <PlaySound context={context} onClose={close} />}
      {shown?.dialog === 'delete' && <DeleteSession context={context} onClose={close} />}
      {chosen && (
        <ParticipantDialog
          context={context}
          participant={chosen}
          levels={levels}
          patch={patch}
          onClose={close}
        />
      )}
    </>
  );
}
