import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { nameOf, type Participant } from '../../gateway/resources.js';
import { type Cell, cellOf, type Source, sourcesOf } from './cells.js';
import { Connection, Meter } from './facts.js';
import type { Levels } from './levels.js';
import { type Patch, toggled } from './patching.js';

interface MatrixOptions {
  readonly participants: readonly Participant[];
  readonly levels: Levels;
  readonly patch: (patch: Patch) => void;
  /** Shows a participant. */
  readonly open: (participantId: string) => void;
}

/**
 * Who hears whom: a row for each stream, a column for each receiver. It is a grid as ARIA has it: one crossing is in the
 * order of the Tab key, and the arrow keys move between them.
 */
export function Matrix({ participants, levels, patch, open }: MatrixOptions) {
  const table = useRef<HTMLTableElement>(null);
  const at = useSignal({ row: 0, column: 0 });
  /** What the crossing under the pointer or with the focus says. */
  const explained = useSignal('');
  const sources = sourcesOf(participants);
  const row = Math.min(at.value.row, sources.length - 1);
  const column = Math.min(at.value.column, participants.length - 1);
  const move = (event: KeyboardEvent): void => {
    const [down, right] = STEPS[event.key] ?? [0, 0];
    if (down === 0 && right === 0) return;
    event.preventDefault();
    at.value = {
      row: Math.min(Math.max(row + down, 0), sources.length - 1),
      column: Math.min(Math.max(column + right, 0), participants.length - 1),
    };
    table.current
      ?.querySelector<HTMLElement>(`[data-at="${at.value.row}-${at.value.column}"]`)
      ?.focus({ preventScroll: false });
  };
  return (
    <div class="matrix-frame">
      <table class="matrix" role="grid" aria-label="Who receives whom" ref={table}>
        <thead>
          <tr>
            <th scope="col" class="corner">
              <span class="corner-receivers">receives →</span>
              <span class="corner-publishers">publishes ↓</span>
            </th>
            {participants.map((receiver) => (
              <th scope="col" key={receiver.id} class="receiver">
                <button type="button" class="name" onClick={() => open(receiver.id)}>
                  {nameOf(receiver)}
                </button>
                <Connection device={receiver.device} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sources.map((source, y) => (
            <tr key={source.stream?.streamId ?? source.publisher.id}>
              <SourceHead source={source} levels={levels} open={open} />
              {participants.map((receiver, x) => (
                <Crossing
                  key={receiver.id}
                  source={source}
                  receiver={receiver}
                  place={`${y}-${x}`}
                  isCurrent={y === row && x === column}
                  move={move}
                  enter={() => (at.value = { row: y, column: x })}
                  explain={(words) => (explained.value = words)}
                  toggle={() =>
                    patch({
                      participantId: receiver.id,
                      subscriptions: toggled(receiver, source, participants),
                    })
                  }
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="explained">{explained.value || 'Click a crossing to change who receives whom.'}</p>
      <Legend />
    </div>
  );
}

/** Rows down and columns to the right, by key. */
const STEPS: Readonly<Partial<Record<string, readonly [number, number]>>> = {
  ArrowDown: [1, 0],
  ArrowUp: [-1, 0],
  ArrowRight: [0, 1],
  ArrowLeft: [0, -1],
  PageDown: [5, 0],
  PageUp: [-5, 0],
  Home: [0, -99],
  End: [0, 99],
};

interface SourceOptions {
  readonly source: Source;
  readonly levels: Levels;
  readonly open: (participantId: string) => void;
}

function SourceHead({ source: { publisher, stream }, levels, open }: SourceOptions) {
  const types = stream?.mediaTypes ?? [];
  // Codecs are told for the whole device, and a stream may have audio alone.
  const codecs = (publisher.device?.received?.codecs ?? []).filter(
    (codec) => types.includes('VIDEO') || !VIDEO_CODECS.has(codec.toUpperCase()),
  );
  const facts = [stream?.alias, types.map((type) => type.toLowerCase()).join(' + '), ...codecs];
  return (
    <th scope="row" class="source">
      <div class="source-line">
        <button type="button" class="name" onClick={() => open(publisher.id)}>
          {nameOf(publisher)}
        </button>
        {stream && levels.speaking(stream.streamId).value && <span class="speaking">speaks</span>}
      </div>
      <div class="facts">
        {stream
          ? facts.filter((fact) => fact !== undefined && fact !== '').join(' · ')
          : nothingFrom(publisher)}
      </div>
      {stream && types.includes('AUDIO') && (
        <Meter level={levels.of(stream.streamId)} label={`Level of ${nameOf(publisher)}`} />
      )}
    </th>
  );
}

const VIDEO_CODECS = new Set(['VP8', 'VP9', 'H264', 'AV1']);

function nothingFrom({ device, publishPermissions }: Participant): string {
  if (!device) return 'not connected';
  if (publishPermissions.length === 0) return 'may not publish';
  return device.held ? 'on hold' : 'publishes nothing';
}

interface CrossingOptions {
  readonly source: Source;
  readonly receiver: Participant;
  readonly place: string;
  readonly isCurrent: boolean;
  readonly move: (event: KeyboardEvent) => void;
  readonly enter: () => void;
  readonly explain: (words: string) => void;
  readonly toggle: () => void;
}

function Crossing({ source, receiver, place, isCurrent, move, enter, explain, toggle }: CrossingOptions) {
  const cell: Cell = cellOf(receiver, source);
  const { publisher, stream } = source;
  const what = stream?.alias === undefined ? nameOf(publisher) : `${nameOf(publisher)}, ${stream.alias}`;
  const isOwn = cell.state === 'own';
  const label = `${nameOf(receiver)} receives ${what}: ${cell.words}`;
  return (
    <td role="gridcell" class="crossing">
      <button
        type="button"
        class={`jack ${cell.state} ${cell.level ?? ''} ${cell.hindrance ?? ''}`}
        data-at={place}
        tabIndex={isCurrent ? 0 : -1}
        // Not `disabled`, since the arrow keys pass over it.
        aria-disabled={isOwn}
        aria-pressed={isOwn ? undefined : cell.state !== 'off'}
        aria-label={isOwn ? `${nameOf(receiver)}: its own stream` : label}
        onKeyDown={move}
        onPointerEnter={() => explain(isOwn ? '' : label)}
        onFocus={() => {
          enter();
          explain(isOwn ? '' : label);
        }}
        onClick={isOwn ? undefined : toggle}
      />
    </td>
  );
}

function Legend() {
  return (
    <ul class="legend" aria-label="What the marks mean">
      <li>
        <span class="jack received session" /> received, with all of the session
      </li>
      <li>
        <span class="jack received participant" /> received, chosen by itself
      </li>
      <li>
        <span class="jack wanted" /> subscribed, but does not arrive
      </li>
      <li>
        <span class="jack off" /> not subscribed
      </li>
    </ul>
  );
}
