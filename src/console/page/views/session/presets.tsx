import { useSignal } from '@preact/signals';
import { nameOf, type Participant, type SessionDetail } from '../../gateway/resources.js';
import { everyone, monitor, nobody, type Patch, whisper } from './patching.js';

interface PresetOptions {
  readonly session: SessionDetail;
  readonly isBusy: boolean;
  readonly patch: (patches: readonly Patch[]) => void;
}

/** Arrangements of a whole session by one click. */
export function Presets({ session, isBusy, patch }: PresetOptions) {
  const { id, participants } = session;
  const supervisor = useSignal('');
  const agent = useSignal('');
  const ids = new Set(participants.map((participant) => participant.id));
  // Somebody who is chosen may leave.
  const chosen = ids.has(supervisor.value) ? supervisor.value : '';
  const advised = ids.has(agent.value) && agent.value !== chosen ? agent.value : '';
  return (
    <div class="presets" role="group" aria-label="Presets">
      <button
        type="button"
        class="secondary"
        disabled={isBusy}
        onClick={() => patch(everyone(id, participants))}
      >
        Everyone hears everyone
      </button>
      <button type="button" class="secondary" disabled={isBusy} onClick={() => patch(nobody(participants))}>
        Nobody
      </button>
      <span class="divider" />
      <Choice
        role="Supervisor"
        participants={participants}
        chosen={chosen}
        choose={(who) => (supervisor.value = who)}
      />
      <button
        type="button"
        class="secondary"
        title="The supervisor hears all, and is heard by nobody"
        disabled={isBusy || chosen === ''}
        onClick={() => patch(monitor(id, participants, chosen))}
      >
        Monitor
      </button>
      <Choice
        role="Agent"
        participants={participants.filter((participant) => participant.id !== chosen)}
        chosen={advised}
        choose={(who) => (agent.value = who)}
      />
      <button
        type="button"
        class="secondary"
        title="Only the agent hears the supervisor, who hears all"
        disabled={isBusy || chosen === '' || advised === ''}
        onClick={() => patch(whisper(id, participants, chosen, advised))}
      >
        Whisper
      </button>
      <button
        type="button"
        class="secondary"
        title="The supervisor joins in: everyone hears everyone"
        disabled={isBusy || chosen === ''}
        onClick={() => patch(everyone(id, participants))}
      >
        Barge
      </button>
    </div>
  );
}

interface ChoiceOptions {
  readonly role: string;
  readonly participants: readonly Participant[];
  /** Id of the one who has the role; empty: nobody. */
  readonly chosen: string;
  readonly choose: (participantId: string) => void;
}

/** Who of the participants has a role in a preset. */
function Choice({ role, participants, chosen, choose }: ChoiceOptions) {
  return (
    <select aria-label={role} value={chosen} onChange={(event) => choose(event.currentTarget.value)}>
      <option value="">{role} …</option>
      {participants.map((participant) => (
        <option key={participant.id} value={participant.id}>
          {nameOf(participant)}
        </option>
      ))}
    </select>
  );
}
