import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ask } from '../../gateway/client.js';
import { type CreatedParticipant, type MediaType, nameOf } from '../../gateway/resources.js';
import { rememberToken } from '../../gateway/tokens.js';
import { Dialog, Problem, useAction } from '../../parts/index.js';
import { goTo, linkTo } from '../../route.js';
import type { SessionContext } from './session-view.js';
import { WaysIn } from './ways-in.js';

interface DialogOptions {
  readonly context: SessionContext;
  readonly onClose: () => void;
}

/** Creates a participant in the session, and shows the ways in. */
export function NewParticipant({ context: { accountPath, sessionPath, session }, onClose }: DialogOptions) {
  const tag = useSignal('');
  const [audio, video, hearsAll] = [useSignal(true), useSignal(false), useSignal(true)];
  const created = useSignal<CreatedParticipant | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  const create = async (): Promise<void> => {
    const publishPermissions: MediaType[] = [
      ...(audio.value ? (['AUDIO'] as const) : []),
      ...(video.value ? (['VIDEO'] as const) : []),
    ];
    const made = await ask<CreatedParticipant>('POST', `${accountPath}/participants`, {
      publishPermissions,
      ...(tag.value !== '' && { tag: tag.value }),
    });
    rememberToken(made.participant.id, made.token);
    const subscriptions = hearsAll.value ? { sessionId: session.id } : {};
    await ask('PUT', `${sessionPath}/participants/${made.participant.id}`, subscriptions);
    created.value = made;
  };
  if (created.value) {
    return (
      <Dialog title={`${nameOf(created.value.participant)} may come in`} onClose={onClose}>
        {created.value.warnings?.map((warning) => (
          <p class="notice" key={warning}>
            {warning}
          </p>
        ))}
        <WaysIn token={created.value.token} />
      </Dialog>
    );
  }
  return (
    <Dialog title="Add a participant" onClose={onClose}>
      <form
        id="new-participant"
        onSubmit={(event) => {
          event.preventDefault();
          void run(create);
        }}
      >
        <label>
          Tag
          <input
            name="tag"
            autofocus
            placeholder="agent, caller, supervisor …"
            maxLength={50}
            value={tag.value}
            onInput={(event) => (tag.value = event.currentTarget.value)}
          />
        </label>
        <fieldset>
          <legend>It may publish</legend>
          <label>
            <input type="checkbox" checked={audio.value} onChange={() => (audio.value = !audio.value)} />{' '}
            audio
          </label>
          <label>
            <input type="checkbox" checked={video.value} onChange={() => (video.value = !video.value)} />{' '}
            video
          </label>
        </fieldset>
        <fieldset>
          <legend>It receives</legend>
          <label>
            <input
              type="radio"
              name="hears"
              checked={hearsAll.value}
              onChange={() => (hearsAll.value = true)}
            />{' '}
            everyone, now and later
          </label>
          <label>
            <input
              type="radio"
              name="hears"
              checked={!hearsAll.value}
              onChange={() => (hearsAll.value = false)}
            />{' '}
            nobody yet
          </label>
        </fieldset>
        <Problem error={problem.value} />
        <button type="submit" disabled={isBusy.value}>
          Create
        </button>
      </form>
    </Dialog>
  );
}

/** Sounds that every gateway has. */
const TONES = ['tone:music', 'tone:ringback', 'tone:join', 'tone:leave'];

/** Plays a sound to everybody in the session, or to one participant of it. */
export function PlaySound({
  context: { accountPath, sessionPath },
  participant,
  onClose,
}: DialogOptions & { readonly participant?: { readonly id: string; readonly tag?: string } }) {
  const path = participant ? `${sessionPath}/participants/${participant.id}/media` : `${sessionPath}/media`;
  const mediaUrl = useSignal(TONES[0]!);
  const loop = useSignal(false);
  const uploads = useSignal<readonly string[]>([]);
  const { isBusy, problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      const { items } = await ask<{ items: readonly { name: string }[] }>('GET', `${accountPath}/media`);
      uploads.value = items.map(({ name }) => `media:${name}`);
    });
  }, []);
  const set = (change: object) => run(() => ask('PUT', path, change));
  return (
    <Dialog title={participant ? `Play to ${nameOf(participant)}` : 'Play to everybody'} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void set({ mediaState: 'PLAYING', mediaUrl: mediaUrl.value, loop: loop.value });
        }}
      >
        <label>
          Sound: an address of a WAV, MP3 or Ogg Opus file, an uploaded file, or a tone
          <input
            name="mediaUrl"
            autofocus
            list="sounds"
            required
            value={mediaUrl.value}
            onInput={(event) => (mediaUrl.value = event.currentTarget.value)}
          />
        </label>
        <datalist id="sounds">
          {[...TONES, ...uploads.value].map((sound) => (
            <option key={sound} value={sound} />
          ))}
        </datalist>
        <label class="check">
          <input type="checkbox" checked={loop.value} onChange={() => (loop.value = !loop.value)} /> again and
          again
        </label>
        <Problem error={problem.value} />
        <div class="buttons">
          <button type="submit" disabled={isBusy.value}>
            Play
          </button>
          <button
            type="button"
            class="secondary"
            disabled={isBusy.value}
            onClick={() => void set({ mediaState: 'STOPPED' })}
          >
            Stop
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Asks before everybody is hung up. */
export function DeleteSession({ context: { account, sessionPath, session }, onClose }: DialogOptions) {
  const { isBusy, problem, run } = useAction();
  const connected = session.participants.filter(({ device }) => device).length;
  const remove = async (): Promise<void> => {
    await ask('DELETE', sessionPath);
    goTo(linkTo(account, 'sessions'));
  };
  return (
    <Dialog title={`Delete ${nameOf(session)}?`} onClose={onClose}>
      <p>
        {connected === 0
          ? 'Nobody is connected.'
          : `${connected} ${connected === 1 ? 'device is' : 'devices are'} hung up.`}
      </p>
      <Problem error={problem.value} />
      <div class="buttons">
        <button type="button" class="danger" disabled={isBusy.value} onClick={() => void run(remove)}>
          Delete the session
        </button>
        <button type="button" class="secondary" onClick={onClose}>
          Keep it
        </button>
      </div>
    </Dialog>
  );
}
