import type { ReadonlySignal } from '@preact/signals';
import type { Device, DirectionQuality } from '../../gateway/resources.js';
import { SILENCE_DB } from './levels.js';

/** What is louder is loud in the meter; what is softer does not show. */
const LOUDEST_DB = -10;
const SOFTEST_DB = -60;

/** How loud a stream is. */
export function Meter({ level, label }: { readonly level: ReadonlySignal<number>; readonly label: string }) {
  const db = level.value;
  const share = Math.min(1, Math.max(0, (db - SOFTEST_DB) / (LOUDEST_DB - SOFTEST_DB)));
  const words = db <= SILENCE_DB ? 'silent' : `${Math.round(db)} dB`;
  return (
    <meter class="level" min={0} max={1} value={share} aria-label={label} title={words}>
      {words}
    </meter>
  );
}

const KINDS: Readonly<Record<string, string>> = { phone: 'phone', browser: 'browser', program: 'program' };

/** By what a participant is connected. */
export function Connection({ device }: { readonly device: Device | undefined }) {
  if (!device) return <span class="kind away">away</span>;
  const kind = KINDS[device.kind] ?? device.kind;
  return <span class={`kind ${device.held ? 'held' : ''}`}>{device.held ? `${kind}, on hold` : kind}</span>;
}

/** How the audio of one direction fares, in a line. */
export function qualityText({ mos, lost, packets, jitterMs, roundTripMs }: DirectionQuality): string {
  const loss = lost === undefined || packets + lost === 0 ? undefined : (100 * lost) / (packets + lost);
  const parts = [
    mos === undefined ? 'MOS not measured yet' : `MOS ${mos.toFixed(1)}`,
    loss === undefined ? undefined : `${loss.toFixed(1)} % lost`,
    jitterMs === undefined ? undefined : `jitter ${Math.round(jitterMs)} ms`,
    roundTripMs === undefined ? undefined : `round trip ${Math.round(roundTripMs)} ms`,
  ];
  return parts.filter((part) => part !== undefined).join(' · ');
}
