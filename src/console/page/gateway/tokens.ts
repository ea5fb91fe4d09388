import { signal } from '@preact/signals';

/**
 * Tokens of participants that this page has created, by participant id. The gateway shows a token once, so these are
 * gone when the page is left. They are in no storage, where they would outlive the person at the keyboard.
 */
const tokens = signal<ReadonlyMap<string, string>>(new Map());

export function rememberToken(participantId: string, token: string): void {
  tokens.value = new Map([...tokens.value, [participantId, token]]);
}

export function tokenOf(participantId: string): string | undefined {
  return tokens.value.get(participantId);
}

export function forgetTokens(): void {
  tokens.value = new Map();
}
