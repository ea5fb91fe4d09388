import { useEffect, useRef } from 'preact/hooks';
import { ApiError, ask } from '../../gateway/client.js';
import type { GatewayEvent } from '../../gateway/events.js';
import { useLive } from '../../gateway/live.js';
import {
  type Call,
  type CallTrace,
  type MediaFormat,
  nameOf,
  type QualitySeries,
} from '../../gateway/resources.js';
import { Away, Copy, Moment, Problem } from '../../parts/index.js';
import { linkTo } from '../../route.js';
import { Caller, CallLength, Fact, lossOf, Masked, participantName, State } from './figures.js';
import { Ladder } from './ladder.js';
import { Quality } from './quality.js';

interface Shown {
  readonly call: Call;
  /** Absent when nothing is kept. */
  readonly trace?: CallTrace | undefined;
  readonly series?: QualitySeries | undefined;
}

/** Events that change nothing here. */
const OTHER_NEWS = new Set([
  'speaking',
  'levels',
  'dtmf',
  'streamsChanged',
  'deliveryChanged',
  'announcement',
]);

/** The last answer of SIP comes after the device has left. */
const LATE_MS = 1_000;

/** What the gateway does not keep any more is no error. */
async function ifKept<T>(path: string): Promise<T | undefined> {
  try {
    return await ask<T>('GET', path);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

async function readCall(path: string): Promise<Shown> {
  const [call, trace, series] = await Promise.all([
    ask<Call>('GET', path),
    ifKept<CallTrace>(`${path}/trace`),
    ifKept<QualitySeries>(`${path}/quality`),
  ]);
  return { call, trace, series };
}

/** One call: all that is known of it, its SIP messages, and how it sounded. */
export function CallView({ account, id }: { readonly account: string; readonly id: string }) {
  const path = `/v1/accounts/${encodeURIComponent(account)}/calls/${encodeURIComponent(id)}`;
  /** By what events know the device; the address may have the connection's id. */
  const deviceId = useRef<string | undefined>(undefined);
  const { value, problem, connected, refresh } = useLive<Shown>(path, {
    account,
    read: async () => {
      const read = await readCall(path);
      deviceId.current = read.call.deviceId;
      return read;
    },
    concerns: ({ type, data }: GatewayEvent) =>
      !OTHER_NEWS.has(type) && data['deviceId'] === deviceId.current,
  });
  const isOver = value.value !== undefined && value.value.call.state !== 'live';
  useEffect(() => {
    if (!isOver) return undefined;
    const late = setTimeout(refresh, LATE_MS);
    return () => clearTimeout(late);
  }, [isOver]);
  const shown = value.value;
  const crumbs = (
    <nav class="crumbs" aria-label="Where you are">
      <a href={linkTo(account, 'calls')}>Calls</a>
    </nav>
  );
  if (!shown) {
    if (problem.value?.status !== 404) return <Problem error={problem.value} />;
    return (
      <>
        {crumbs}
        <h1>There is no such call</h1>
        <p>
          Refused calls are kept until the gateway is started again, others for as long as usage records.{' '}
          <a href={linkTo(account, 'calls')}>All calls</a>
        </p>
      </>
    );
  }
  const { call, trace, series } = shown;
  return (
    <>
      {crumbs}
      <div class="title">
        <h1>Call of {participantName(call)}</h1>
        <State call={call} />
      </div>
      <Away connected={connected} />
      <Problem error={problem.value} />
      {needsWords(call) && <Why call={call} />}
      <Facts call={call} account={account} />
      {series && <Quality series={series} />}
      {trace ? (
        <Ladder trace={trace} path={`${path}/trace`} onForgotten={refresh} />
      ) : (
        call.kind === 'phone' && (
          <p class="hint">
            No SIP messages of this call are kept: newer calls took their room (PATCHBAY_TRACE_MB), it was
            before the start of the gateway, or they were deleted.
          </p>
        )
      )}
    </>
  );
}

/** Whether more is to be said of its end than in a line: somebody can do something about it. */
const needsWords = ({ state, advice }: Call): boolean => state === 'failed' || advice !== undefined;

/** Why it ended, and what to do about it. */
function Why({ call }: { readonly call: Call }) {
  return (
    <section class="card failed" aria-labelledby="why-title">
      <h2 id="why-title">{call.state === 'failed' ? 'Why it was refused' : 'Why it ended'}</h2>
      <p>
        {call.explanation} {call.advice}
      </p>
      {call.reason !== undefined && (
        <p class="hint">
          The phone was told: {call.status} {call.reason}
        </p>
      )}
    </section>
  );
}

function formatText(format: MediaFormat | undefined): string | undefined {
  if (!format) return undefined;
  return `${format.codecs.join(', ')}${format.encryption === 'none' ? ', not encrypted' : `, ${format.encryption}`}`;
}

function soundText(call: Call, direction: 'received' | 'sent'): string {
  const figures = call.quality?.[direction];
  const loss = figures && lossOf(figures);
  return [
    formatText(call[direction]),
    figures?.mos === undefined ? undefined : `MOS ${figures.mos.toFixed(1)}`,
    loss === undefined ? undefined : `${loss.toFixed(1)} % lost`,
    figures === undefined ? undefined : `${figures.packets} packets`,
  ]
    .filter((part) => part !== undefined)
    .join(' · ');
}

function Facts({ call, account }: { readonly call: Call; readonly account: string }) {
  return (
    <section class="card" aria-label="Facts">
      <dl class="facts-list">
        <Fact term="Caller">
          <Caller call={call} />
        </Fact>
        <Fact term="Caller's name">{call.callerName && <Masked text={call.callerName} what="Name" />}</Fact>
        <Fact term="Called">{call.called}</Fact>
        <Fact term="Device">{`${call.kind}, ${call.direction}`}</Fact>
        <Fact term="Participant">
          {participantName(call)} <code>{call.participantId}</code>
        </Fact>
        <Fact term="Sessions">
          {call.sessions.length > 0 &&
            call.sessions.map(({ sessionId: id, sessionTag: tag }) => (
              <div key={id}>
                <a href={linkTo(account, 'sessions', id)}>
                  {nameOf({ id, ...(tag !== undefined && { tag }) })}
                </a>
              </div>
            ))}
        </Fact>
        <Fact term="Begin">
          <Moment moment={call.startedAt} />
        </Fact>
        <Fact term="Length">{call.state !== 'failed' && <CallLength call={call} />}</Fact>
        <Fact term="Why it ended">{!needsWords(call) && call.explanation}</Fact>
        <Fact term="From the device">{soundText(call, 'received')}</Fact>
        <Fact term="To the device">{soundText(call, 'sent')}</Fact>
        <Fact term="Offered codecs">{call.offeredCodecs?.join(', ')}</Fact>
      </dl>
      <Copy label={call.kind === 'phone' ? 'Call-ID' : 'Id of the device'} text={call.deviceId} />
    </section>
  );
}
