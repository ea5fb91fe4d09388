import { tokenOf } from '../../gateway/tokens.js';
import { linkTo } from '../../route.js';
import { isUnderWay, scoreInWords, summaryOf, type TestCall } from './result-types.js';
import { Steps } from './steps.js';

interface ResultOptions {
  readonly account: string;
  readonly call: TestCall;
  /** The participant that was made to listen, if this page made one. */
  readonly listenerId: string | undefined;
  readonly isBusy: boolean;
  readonly hangUp: () => void;
}

const known = (value: number | undefined, unit: string): string =>
  value === undefined ? '' : `${value.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${unit}`;

const joined = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join(', ');

/** A test call: what it does, how it fares, and what to do when something is wrong. */
export function Result({ account, call, listenerId, isBusy, hangUp }: ResultOptions) {
  const token = listenerId === undefined ? undefined : tokenOf(listenerId);
  const { problem, sessionId } = call;
  return (
    <section class="card result" aria-labelledby="result-title">
      <div class="title">
        <h2 id="result-title">
          <span class={`lamp ${lampOf(call)}`} aria-hidden="true" />
          <span role="status">{summaryOf(call)}</span>
        </h2>
        {isUnderWay(call) && (
          <button type="button" class="danger" id="hang-up" disabled={isBusy} onClick={hangUp}>
            Hang up
          </button>
        )}
      </div>
      {token !== undefined && isUnderWay(call) && (
        <p class="listen">
          <a
            class="button"
            id="listen"
            href={`${location.origin}/#token=${token}`}
            target="_blank"
            rel="noreferrer"
          >
            Hear it: join in a new tab
          </a>
          <span class="hint">The page asks for a microphone; you may join without one.</span>
        </p>
      )}
      {problem && (
        <div class="notice" role="alert">
          <strong>{problem.message}</strong>
          <p>{problem.advice}</p>
        </div>
      )}
      <Figures call={call} />
      {sessionId !== undefined && (
        <p>
          <a href={linkTo(account, 'sessions', sessionId)}>See who hears whom in its session</a>
        </p>
      )}
      {call.steps && call.steps.length > 0 && <Steps steps={call.steps} />}
    </section>
  );
}

function lampOf({ state, problem }: TestCall): string {
  if (state === 'failed') return 'bad';
  if (state === 'calling') return 'waiting';
  return problem ? 'warning' : 'good';
}

/** What was measured. */
function Figures({ call }: { readonly call: TestCall }) {
  const { signalling, toGateway, fromGateway, delayMs, roundTripMs, mos, codec, deviceId } = call;
  const rows: (readonly [title: string, words: string])[] = [
    ['Signalling', signalling ? signallingInWords(signalling) : ''],
    ['Sound to the gateway', toGateway ? soundInWords(toGateway, heardBy(toGateway.heardBy)) : ''],
    ['Sound from the gateway', fromGateway ? soundInWords(fromGateway) : ''],
    [
      'Delay, one way',
      delayMs === undefined ? '' : `about ${known(delayMs, 'ms')} (round trip ${known(roundTripMs, 'ms')})`,
    ],
    ['Opinion score', mos === undefined ? '' : `${mos.toFixed(2)} of 4.5: ${scoreInWords(mos)}`],
    ['Codec', codec ?? ''],
    ['Call-ID', deviceId ?? ''],
  ];
  const shown = rows.filter(([, words]) => words !== '');
  if (shown.length === 0) return null;
  return (
    <dl class="facts-list">
      {shown.flatMap(([title, words]) => [
        <dt key={title}>{title}</dt>,
        <dd key={`${title} is`}>{words}</dd>,
      ])}
    </dl>
  );
}

/** Why it was refused is told by the problem. */
function signallingInWords({ status, answeredAfterMs }: NonNullable<TestCall['signalling']>): string {
  return answeredAfterMs === undefined
    ? `refused with ${status}`
    : `answered with ${status} after ${answeredAfterMs} ms`;
}

const heardBy = (count: number): string =>
  count === 0 ? 'heard by nobody' : `heard by ${count === 1 ? 'one participant' : `${count} participants`}`;

function soundInWords(
  { packets, lost, jitterMs, levelDb }: NonNullable<TestCall['fromGateway']>,
  more = '',
): string {
  if (packets === 0 || (packets === undefined && levelDb === undefined)) return joined('none so far', more);
  return joined(
    packets === undefined ? '' : `${packets.toLocaleString()} packets`,
    lost === undefined ? '' : `${lost.toLocaleString()} lost`,
    jitterMs === undefined ? '' : `jitter ${known(jitterMs, 'ms')}`,
    levelDb === undefined ? 'silent' : known(levelDb, 'dB'),
    more,
  );
}
