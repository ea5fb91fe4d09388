import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { DirectionQuality, QualitySeries } from '../../gateway/resources.js';
import { clockText } from '../../parts/index.js';
import { lossOf } from './figures.js';

/** What is drawn over time. */
interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly of: (direction: DirectionQuality) => number | undefined;
  /** The least that the scale shows, so that small changes look small. */
  readonly scale: readonly [least: number, most: number];
}

const MEASURES: readonly Measure[] = [
  { title: 'Opinion score (MOS) so far', unit: '', of: ({ mos }) => mos, scale: [1, 4.5] },
  { title: 'Loss', unit: ' %', of: lossOf, scale: [0, 5] },
  { title: 'Jitter', unit: ' ms', of: ({ jitterMs }) => jitterMs, scale: [0, 40] },
  { title: 'Round trip', unit: ' ms', of: ({ roundTripMs }) => roundTripMs, scale: [0, 200] },
];

const HEIGHT = 120;

/** How a call sounded over its time. */
export function Quality({ series }: { readonly series: QualitySeries }) {
  const drawn = MEASURES.map((measure) => ({ measure, lines: linesOf(series, measure) })).filter(
    ({ lines }) => [...lines.received, ...lines.sent].some((value) => value !== null),
  );
  if (drawn.length === 0) return null;
  return (
    <section class="card" aria-labelledby="quality-title">
      <div class="title">
        <h2 id="quality-title">How it sounded</h2>
        <p class="chart-legend">
          <span class="received">from the device</span>
          <span class="sent">to the device</span>
        </p>
      </div>
      <div class="charts">
        {drawn.map(({ measure, lines }) => (
          <Chart key={measure.title} measure={measure} lines={lines} />
        ))}
      </div>
    </section>
  );
}

interface Lines {
  /** Seconds since the first one. */
  readonly times: number[];
  readonly received: (number | null)[];
  readonly sent: (number | null)[];
}

function linesOf({ points }: QualitySeries, { of }: Measure): Lines {
  return {
    times: points.map(({ at }) => (Date.parse(at) - Date.parse(points[0]!.at)) / 1000),
    received: points.map(({ received }) => of(received) ?? null),
    sent: points.map(({ sent }) => of(sent) ?? null),
  };
}

function Chart({ measure, lines }: { readonly measure: Measure; readonly lines: Lines }) {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const latest = useRef(lines);
  latest.current = lines;
  useEffect(() => {
    const target = element.current!;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = plotOf(target, measure, latest.current);
    };
    draw();
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: target.clientWidth, height: HEIGHT }),
    );
    resized.observe(target);
    return () => {
      scheme.removeEventListener('change', draw);
      resized.disconnect();
      plot.current?.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData([lines.times, lines.received, lines.sent]), [lines]);
  return (
    <figure class="chart">
      <figcaption>{measure.title}</figcaption>
      <div ref={element} role="img" aria-label={`${measure.title}: ${inWords(measure, lines)}`} />
    </figure>
  );
}

function inWords({ unit }: Measure, { received, sent }: Lines): string {
  const range = (values: readonly (number | null)[]): string | undefined => {
    const known = values.filter((value) => value !== null);
    const last = known.at(-1);
    if (last === undefined) return undefined;
    return `${Math.min(...known).toFixed(1)} to ${Math.max(...known).toFixed(1)}${unit}, last ${last.toFixed(1)}${unit}`;
  };
  return [
    ['from the device', range(received)],
    ['to the device', range(sent)],
  ]
    .filter(([, words]) => words !== undefined)
    .map(([way, words]) => `${way} ${words}`)
    .join('; ');
}

/** Canvases know no custom properties: the colours are those that the style gives to probes. */
function colourOf(target: Element, name: string): string {
  const probe = document.createElement('span');
  probe.className = name;
  target.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function plotOf(target: HTMLElement, { scale: [least, most], unit }: Measure, lines: Lines): uPlot {
  const [received, sent, ink, grid] = ['received', 'sent', 'ink', 'grid'].map((name) =>
    colourOf(target, name),
  );
  const font = `12px ${getComputedStyle(target).fontFamily}`;
  const axis = { stroke: ink!, font, grid: { stroke: grid!, width: 1 }, ticks: { show: false } };
  const points = { show: lines.times.length < 2 };
  return new uPlot(
    {
      width: target.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: false },
        y: { range: (_plot, low, high) => [Math.min(low, least), Math.max(high, most)] },
      },
      axes: [
        {
          ...axis,
          size: 30,
          gap: 10,
          values: (_plot, values) => values.map((seconds) => clockText(seconds * 1_000)),
        },
        { ...axis, size: 52, values: (_plot, values) => values.map((value) => `${value}${unit}`) },
      ],
      series: [
        {},
        { stroke: received!, width: 2, spanGaps: true, points },
        { stroke: sent!, width: 2, dash: [5, 4], spanGaps: true, points },
      ],
    },
    [lines.times, lines.received, lines.sent],
    target,
  );
}
