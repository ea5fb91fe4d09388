import type { ComponentChildren } from 'preact';
import { useSignal } from '@preact/signals';
import { type Call, type DirectionQuality, nameOf } from '../../gateway/resources.js';
import { Length, Since } from '../../parts/index.js';

/** Share of the packets of one direction that the network lost, in percent; undefined when it is not known. */
export function lossOf({ packets, lost }: DirectionQuality): number | undefined {
  return lost === undefined || packets + lost === 0 ? undefined : (100 * lost) / (packets + lost);
}

/** The worse of both directions, since one is enough to spoil a call. */
export function worst(
  call: Pick<Call, 'quality'>,
  of: (direction: DirectionQuality) => number | undefined,
  choose: (...values: number[]) => number,
): number | undefined {
  if (!call.quality) return undefined;
  const known = [of(call.quality.received), of(call.quality.sent)].filter((value) => value !== undefined);
  return known.length === 0 ? undefined : choose(...known);
}

/** What a participant of a call is called. */
export const participantName = ({ participantId: id, participantTag: tag }: Call): string =>
  nameOf({ id, ...(tag !== undefined && { tag }) });

/** Digits at the end by which people tell numbers apart. */
const SHOWN = 2;

/** A number or name that is not shown to everybody who looks at the screen: a click shows it. */
export function Masked({ text, what }: { readonly text: string; readonly what: string }) {
  const isShown = useSignal(false);
  const masked = `••••${text.length > 2 * SHOWN ? text.slice(-SHOWN) : ''}`;
  return (
    <button
      type="button"
      class="name masked"
      aria-pressed={isShown.value}
      title={isShown.value ? 'Hide it' : 'Show it'}
      onClick={() => (isShown.value = !isShown.value)}
    >
      <span class="spoken">{what} </span>
      {isShown.value ? text : masked}
    </button>
  );
}

/** Who calls: a phone's number; pages and programs have none. */
export function Caller({ call }: { readonly call: Call }) {
  if (call.test === true) return <>the test caller</>;
  if (call.caller === undefined || call.caller === '') return <>{call.kind}</>;
  return <Masked text={call.caller} what="Caller" />;
}

/** Whether a call is up, over, or was refused. */
export function State({ call }: { readonly call: Call }) {
  const words = call.state === 'failed' ? `refused: ${call.status ?? ''}` : call.state;
  return <span class={`state ${call.state}`}>{words}</span>;
}

/** How long it was, or is so far; a refused one has no length. */
export function CallLength({ call }: { readonly call: Call }) {
  if (call.state === 'failed') return <>–</>;
  return call.state === 'live' ? <Since moment={call.startedAt} /> : <Length seconds={call.seconds} />;
}

/** A fact of a list, left out when nothing is known. */
export function Fact({ term, children }: { readonly term: string; readonly children: ComponentChildren }) {
  if (children === undefined || children === '' || children === false) return null;
  return (
    <>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </>
  );
}
