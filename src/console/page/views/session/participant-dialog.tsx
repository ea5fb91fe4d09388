import { useSignal } from '@preact/signals';
import { ask } from '../../gateway/client.js';
import { nameOf, type Participant, type Subscriptions } from '../../gateway/resources.js';
import { tokenOf } from '../../gateway/tokens.js';
import { Dialog, Problem, Since, useAction } from '../../parts/index.js';
import { Move, ProgramTarget, SendDigits } from './commands.js';
import { PlaySound } from './dialogs.js';
import { isHeard } from './cells.js';
import { Connection, Meter, qualityText } from './facts.js';
import type { Levels } from './levels.js';
import { muted, type Patch, unmuted } from './patching.js';
import type { SessionContext } from './session-view.js';
import { WaysIn } from './ways-in.js';

interface ParticipantOptions {
  readonly context: SessionContext;
  readonly participant: Participant;
  readonly levels: Levels;
  readonly patch: (patches: readonly Patch[]) => void;
  readonly onClose: () => void;
}

/** A participant: what is known of it, and what can be done to it. */
export function ParticipantDialog({ context, participant, levels, patch, onClose }: ParticipantOptions) {
  const { accountPath, session } = context;
  const { device } = participant;
  const path = `${accountPath}/participants/${participant.id}`;
  const token = tokenOf(participant.id);
  const isPlaying = useSignal(false);
  const { isBusy, problem, run } = useAction();
  const heard = isHeard(session.participants, participant.id);
  if (isPlaying.value) {
    return (
      <PlaySound context={context} participant={participant} onClose={() => (isPlaying.value = false)} />
    );
  }
  return (
    <Dialog title={nameOf(participant)} onClose={onClose}>
      <dl class="facts-list">
        <dt>Device</dt>
        <dd>
          <Connection device={device} />{' '}
          {device && (
            <>
              for <Since moment={device.connectedAt} />
            </>
          )}
        </dd>
        <dt>Subscribed to</dt>
        <dd>{subscriptionText(participant.subscriptions, session.participants)}</dd>
        <dt>May publish</dt>
        <dd>{participant.publishPermissions.join(', ').toLowerCase() || 'nothing'}</dd>
        {device?.quality && (
          <>
            <dt>Heard from it</dt>
            <dd>{qualityText(device.quality.received)}</dd>
            <dt>Sent to it</dt>
            <dd>{qualityText(device.quality.sent)}</dd>
          </>
        )}
        {device?.streams.map(({ streamId, alias }) => (
          <>
            <dt>{alias ?? 'Stream'}</dt>
            <dd>
              <Meter level={levels.of(streamId)} label={`Level of ${nameOf(participant)}`} />
            </dd>
          </>
        ))}
        <dt>Id</dt>
        <dd>
          <code>{participant.id}</code>
        </dd>
      </dl>
      <div class="buttons">
        <button
          type="button"
          class="secondary"
          disabled={isBusy.value}
          onClick={() => patch((heard ? muted : unmuted)(session.participants, participant.id))}
        >
          {heard ? 'Mute for everybody' : 'Let everybody hear it'}
        </button>
        <button type="button" class="secondary" disabled={!device} onClick={() => (isPlaying.value = true)}>
          Play a sound
        </button>
        <button
          type="button"
          class="secondary"
          disabled={!device || isBusy.value}
          onClick={() => void run(() => ask('DELETE', `${path}/device`))}
        >
          Disconnect
        </button>
        <button
          type="button"
          class="danger"
          disabled={isBusy.value}
          onClick={() =>
            void run(async () => {
              await ask('DELETE', path);
              onClose();
            })
          }
        >
          Delete
        </button>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={participant.noiseSuppression === true}
          disabled={isBusy.value}
          onChange={(event) => {
            const noiseSuppression = event.currentTarget.checked;
            void run(() => ask('PATCH', path, { noiseSuppression }));
          }}
        />{' '}
        phones hear it without its noise
      </label>
      <Move context={context} participant={participant} onMoved={onClose} />
      {device?.kind === 'phone' && <SendDigits path={path} />}
      <ProgramTarget path={path} />
      <Problem error={problem.value} />
      {token !== undefined && <WaysIn token={token} />}
    </Dialog>
  );
}

function subscriptionText(
  { sessionId, participants = [] }: Subscriptions,
  members: readonly Participant[],
): string {
  if (participants.length === 0)
    return sessionId === undefined ? 'nobody' : 'everyone in the session, now and later';
  return participants
    .map(({ participantId, streamAliases = [] }) => {
      const name = nameOf(members.find(({ id }) => id === participantId) ?? { id: participantId });
      return streamAliases.length === 0 ? name : `${name} (${streamAliases.join(', ')})`;
    })
    .join(', ');
}
