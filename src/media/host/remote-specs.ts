import {
  type AnySpec,
  lastingSpec,
  type MediaKind,
  type MediaStreamInfo,
  type PhoneSource,
} from '../types.js';
import type { CarriedState } from './messages.js';

/** A host always says what its programs were opened with. */
const UNKNOWN_PROGRAM = { rate: 16_000, channels: 'mix', queueMs: 0 } as const;

/** What a device that a host carries was opened with, as far as it matters from now on. */
export function specOfCarried(state: CarriedState): AnySpec {
  const { kind, program } = state;
  const common = lastingSpec(state);
  return kind === 'program' ? { kind, ...UNKNOWN_PROGRAM, ...common, ...program } : { kind, ...common };
}

/** What is known of a device whose host died. */
interface Remembered {
  readonly stream: MediaStreamInfo | undefined;
  /** Browsers: of the last subscribe offer. */
  readonly offered: { readonly revision: number; readonly layout: readonly MediaKind[] } | undefined;
  /** Phones: the last `state` event, when it came, and where the phone's last message came from. */
  readonly state: { readonly text: string; readonly at: number } | undefined;
  readonly source: PhoneSource | undefined;
}

/**
 * What a device is opened with on another host, to go on there.
 * @throws Error when nothing is known of a phone's media yet
 */
export function specElsewhere(spec: AnySpec, known: Remembered): AnySpec {
  // A file begins anew.
  if (spec.kind === 'file') return spec;
  if (spec.kind === 'program') return { ...spec, ...(known.stream && { streamId: known.stream.streamId }) };
  const { kind } = spec;
  const common = lastingSpec(spec);
  if (kind === 'browser') {
    const revision = Math.max(known.offered?.revision ?? 0, Math.floor(Date.now() / 1000));
    return { kind, ...common, revision, subscribeLayout: known.offered?.layout ?? [] };
  }
  if (!known.state) throw new Error('The phone has sent no state of its media yet.');
  const { text: state, at } = known.state;
  return {
    kind,
    ...common,
    ...(known.source && { source: known.source }),
    restored: { state, ageMs: Math.max(0, Date.now() - at) },
  };
}
