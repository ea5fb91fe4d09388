/** Why joining failed or the call ended, for the one who sits before the page, and what to do about it. */
export interface Failure {
  readonly words: string;
  readonly advice: string;
}

/** The browser gives microphones to pages of https and of this machine alone. */
export function insecurePage(): Failure | undefined {
  // Absent on insecure pages, whatever the types say.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (devices) return undefined;
  return {
    words: 'The browser gives this page no microphone, since it came by plain http from another machine.',
    advice: 'Open it by https, or on the gateway’s own machine at http://127.0.0.1.',
  };
}

/** Why there is no microphone or camera: the errors of `getUserMedia` (Media Capture and Streams, section 10.2.1). */
export function mediaFailure(error: unknown): Failure {
  const name = error instanceof Error ? error.name : '';
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return {
        words: 'The browser was not allowed to use the microphone or camera.',
        advice: 'Allow it by the symbol beside the address, then try again; or join without.',
      };
    case 'NotFoundError':
    case 'OverconstrainedError':
      return {
        words: 'There is no microphone or camera of that kind.',
        advice: 'Connect one and try again, choose another one, or join without.',
      };
    case 'NotReadableError':
    case 'AbortError':
      return {
        words: 'The microphone or camera cannot be used: another program may have it.',
        advice: 'Close the other program and try again, or join without.',
      };
    default:
      return {
        words: `The microphone or camera cannot be used: ${error instanceof Error ? error.message : String(error)}`,
        advice: 'Try another one, or join without.',
      };
  }
}

const ENDED: Readonly<Record<string, Failure>> = {
  replaced: {
    words: 'Somebody joined with the same token in another tab or on another device.',
    advice: 'A participant has one device at a time. Join again to take the call over here.',
  },
  disconnected: { words: 'The application has disconnected you.', advice: 'You may join again.' },
  'participant-deleted': {
    words: 'The application has removed you.',
    advice: 'The token is of no use any more: ask for another one.',
  },
  'session-deleted': { words: 'The session is over.', advice: 'The application has ended it for everybody.' },
  expired: { words: 'Your time in this call is over.', advice: 'Ask for another token.' },
  'max-duration': { words: 'The longest time of a call is over.', advice: 'You may join again.' },
  shutdown: { words: 'The gateway is being stopped.', advice: 'Join again in a minute.' },
};

/**
 * Why the gateway ended the connection.
 * @param reason as the gateway says when it closes the WebSocket
 */
export function endedBy(reason: string): Failure {
  return (
    ENDED[reason] ?? {
      words: `The gateway ended the connection: ${reason || 'it gave no reason'}.`,
      advice: 'You may join again.',
    }
  );
}

/** Why joining was refused. */
export class JoinError extends Error {
  readonly advice: string;

  constructor({ words, advice }: Failure) {
    super(words);
    this.advice = advice;
  }
}

export const GATEWAY_AWAY: Failure = {
  words: 'The gateway cannot be reached.',
  advice: 'Check your network. If it is fine, whoever runs the gateway has to look.',
};

/** A token that the gateway refuses. @param words as the gateway says */
export function tokenFailure(words: string): Failure {
  return { words, advice: 'Ask for another token: they expire, and go with their participant.' };
}

export function failureOf(error: unknown): Failure {
  if (error instanceof JoinError) return { words: error.message, advice: error.advice };
  return {
    words: `Joining failed: ${error instanceof Error ? error.message : String(error)}`,
    advice: 'Try again.',
  };
}
