import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { askWithToken } from './connection.js';

/** What the gateway tells a page of its call. */
export interface Admission {
  readonly participant: { readonly id: string; readonly tag?: string; readonly publishes: readonly string[] };
  /** Absent: the participant is in no session. */
  readonly session?: { readonly tag?: string };
  readonly heard: readonly { readonly id: string; readonly tag?: string; readonly kind?: string }[];
  /** Ids of those to whom the keypad's digits go. */
  readonly digitsTo: readonly string[];
}

const AGAIN_MS = 4_000;

/**
 * What the gateway says of the call, asked again and again: a token opens no stream of events.
 * @param changes asks at once when it changes
 */
export function useAdmission(token: string, changes: unknown): ReadonlySignal<Admission | undefined> {
  const admission = useSignal<Admission | undefined>(undefined);
  useEffect(() => {
    const look = async (): Promise<void> => {
      try {
        admission.value = await askWithToken<Admission>('/console/participant', token);
      } catch {
        // What ends the call is told by the connection itself; until then what was known last is shown.
      }
    };
    void look();
    const timer = setInterval(() => void look(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [token, changes]);
  return admission;
}

/** How a participant is called on the page. */
export function whoIs(admission: Admission | undefined, id: string): string {
  if (id === admission?.participant.id) return 'the gateway';
  const known = admission?.heard.find((one) => one.id === id);
  if (known?.tag !== undefined && known.tag !== '') return known.tag;
  return `${known?.kind ?? 'participant'} …${id.slice(-6)}`;
}

/** Where the keys go. */
export function digitsText({ heard, digitsTo }: Admission): string {
  const names = heard
    .filter(({ id }) => digitsTo.includes(id))
    .map(({ id, tag }) => tag ?? `…${id.slice(-6)}`);
  return `Keys go to the application${names.length === 0 ? '' : `, and as tones to ${names.join(', ')}`}.`;
}
