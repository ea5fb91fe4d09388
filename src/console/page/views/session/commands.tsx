import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, ask } from '../../gateway/client.js';
import { type Listed, nameOf, type Participant, type Session } from '../../gateway/resources.js';
import { Problem, useAction } from '../../parts/index.js';
import type { SessionContext } from './session-view.js';

interface MoveOptions {
  readonly context: SessionContext;
  readonly participant: Participant;
  readonly onMoved: () => void;
}

/** Takes a participant to another session, where it hears everyone. Its call goes on. */
export function Move({ context: { accountPath, sessionPath, session }, participant, onMoved }: MoveOptions) {
  const sessions = useSignal<readonly Session[]>([]);
  const target = useSignal('');
  const { isBusy, problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      const { items } = await ask<Listed<Session>>('GET', `${accountPath}/sessions?limit=200`);
      sessions.value = items.filter(({ id }) => id !== session.id);
    });
  }, []);
  const move = async (): Promise<void> => {
    const own = `/participants/${participant.id}`;
    await ask('DELETE', `${sessionPath}${own}`);
    try {
      await ask('PUT', `${accountPath}/sessions/${target.value}${own}`, { sessionId: target.value });
    } catch (error) {
      // Back to where it was, as it was: the other session may be full, or gone.
      await ask('PUT', `${sessionPath}${own}`, participant.subscriptions);
      throw error;
    }
    onMoved();
  };
  if (sessions.value.length === 0) return <Problem error={problem.value} />;
  return (
    <form
      class="inline"
      onSubmit={(event) => {
        event.preventDefault();
        void run(move);
      }}
    >
      <select
        aria-label="Another session"
        required
        value={target.value}
        onChange={(event) => (target.value = event.currentTarget.value)}
      >
        <option value="">Move to …</option>
        {sessions.value.map((one) => (
          <option key={one.id} value={one.id}>
            {nameOf(one)}
          </option>
        ))}
      </select>
      <button type="submit" class="secondary" disabled={isBusy.value || target.value === ''}>
        Move
      </button>
      <Problem error={problem.value} />
    </form>
  );
}

/** Sends key presses to a phone. @param path of the participant */
export function SendDigits({ path }: { readonly path: string }) {
  const digits = useSignal('');
  const { isBusy, problem, run } = useAction();
  return (
    <form
      class="inline"
      onSubmit={(event) => {
        event.preventDefault();
        void run(() => ask('POST', `${path}/device/dtmf`, { digits: digits.value }));
      }}
    >
      <input
        aria-label="Keys for the phone"
        placeholder="Keys, such as 42#"
        pattern="[0-9A-Da-d*#]+"
        required
        value={digits.value}
        onInput={(event) => (digits.value = event.currentTarget.value)}
      />
      <button type="submit" class="secondary" disabled={isBusy.value}>
        Send keys
      </button>
      <Problem error={problem.value} />
    </form>
  );
}

/** A program to which the gateway connects a participant, as REST shows it. */
interface Target {
  readonly host: string;
  readonly dialect: string;
  readonly state: 'connecting' | 'connected' | 'waiting';
  readonly failure?: string;
}

const DIALECTS = ['patchbay', 'twilio', 'vonage', 'jambonz'];

/** Lets a program in, such as an AI agent: the gateway connects to it. @param path of the participant */
export function ProgramTarget({ path }: { readonly path: string }) {
  const url = useSignal('');
  const dialect = useSignal(DIALECTS[0]!);
  const target = useSignal<Target | undefined>(undefined);
  const { isBusy, problem, run } = useAction();
  const look = async (): Promise<void> => {
    target.value = await ask<Target>('GET', `${path}/program`).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
  };
  useEffect(() => void run(look), [path]);
  const connect = async (): Promise<void> => {
    await ask('PUT', `${path}/program`, { url: url.value, dialect: dialect.value });
    await look();
  };
  const shown = target.value;
  return (
    <details>
      <summary>Program{shown && `: ${shown.host}, ${shown.state}`}</summary>
      {shown?.failure !== undefined && <p class="notice">{shown.failure}</p>}
      <form
        class="inline"
        onSubmit={(event) => {
          event.preventDefault();
          void run(connect);
        }}
      >
        <input
          aria-label="WebSocket of the program"
          placeholder="wss://agent.example/call"
          required
          value={url.value}
          onInput={(event) => (url.value = event.currentTarget.value)}
        />
        <select
          aria-label="Protocol of the program"
          value={dialect.value}
          onChange={(event) => (dialect.value = event.currentTarget.value)}
        >
          {DIALECTS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <button type="submit" class="secondary" disabled={isBusy.value}>
          Connect
        </button>
        {shown && (
          <button
            type="button"
            class="secondary"
            disabled={isBusy.value}
            onClick={() =>
              void run(async () => {
                await ask('DELETE', `${path}/program`);
                await look();
              })
            }
          >
            End
          </button>
        )}
        <Problem error={problem.value} />
      </form>
    </details>
  );
}
