import { askWhoIsSignedIn } from './signed-in.js';

/** An event of the account; docs/events.md lists them. */
export interface GatewayEvent {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Reader {
  /** Everything that the page shows must be read anew: at the beginning, and when events were missed. */
  begin(): void;
  happened(event: GatewayEvent): void;
  /** The connection is lost, or there again. */
  connected(isConnected: boolean): void;
}

/** All that the page knows; `EventSource` has a listener for each. */
const TYPES = [
  'sessionCreated',
  'sessionDeleted',
  'participantCreated',
  'participantUpdated',
  'participantDeleted',
  'deviceConnected',
  'deviceCarriedOver',
  'deviceLeft',
  'signallingLost',
  'deviceHeld',
  'deviceResumed',
  'formatsChanged',
  'streamsChanged',
  'deliveryChanged',
  'speaking',
  'levels',
  'dtmf',
  'quality',
  'announcement',
  'callFailed',
  'testCall',
] as const;

/** After an answer that is no stream `EventSource` gives up; the page does not. */
const RETRY_MS = 2_000;

/**
 * Reads the events of an account, or of one session, until the function that it returns is called. It goes on by itself
 * after the gateway was away.
 */
export function readEvents(account: string, sessionId: string | undefined, reader: Reader): () => void {
  const query = sessionId === undefined ? '' : `?sessionId=${encodeURIComponent(sessionId)}`;
  const url = `/v1/accounts/${encodeURIComponent(account)}/events${query}`;
  let source: EventSource;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const open = (): void => {
    source = new EventSource(url);
    source.addEventListener('open', () => reader.connected(true));
    source.addEventListener('error', () => {
      reader.connected(false);
      if (source.readyState !== EventSource.CLOSED) return;
      // The session may have ended meanwhile: then the page asks to sign in.
      askWhoIsSignedIn().catch(() => undefined);
      retry = setTimeout(open, RETRY_MS);
    });
    source.addEventListener('reset', () => reader.begin());
    for (const type of TYPES) {
      source.addEventListener(type, ({ data }: MessageEvent<string>) =>
        reader.happened({ type, data: JSON.parse(data) as Record<string, unknown> }),
      );
    }
  };
  open();
  return () => {
    clearTimeout(retry);
    source.close();
  };
}
