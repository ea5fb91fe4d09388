import { useSignal } from '@preact/signals';
import { ask } from '../../gateway/client.js';
import type { GatewayEvent } from '../../gateway/events.js';
import { useLive } from '../../gateway/live.js';
import type { Call, Listed } from '../../gateway/resources.js';
import { Away, Moment, Problem } from '../../parts/index.js';
import { linkTo } from '../../route.js';
import { Caller, CallLength, lossOf, participantName, State, worst } from './figures.js';
import { filter, FilterForm, queryOf } from './filter.js';

/** Events after which the list is another one. */
const NEWS = new Set(['deviceConnected', 'deviceCarriedOver', 'deviceLeft', 'callFailed', 'formatsChanged']);

/** The gateway reads past calls from its disk: on a busy one, not after every call. */
const PAUSE_MS = 1_000;
const STEP = 100;
/** Most that REST gives at once. */
const MOST = 1_000;

/** The calls of an account: those that are up, that are over and that were refused. */
export function Calls({ account }: { readonly account: string }) {
  const path = `/v1/accounts/${encodeURIComponent(account)}/calls`;
  const limit = useSignal(STEP);
  /** What was measured of live calls since they were read. */
  const measured = useSignal<ReadonlyMap<string, Call['quality']>>(new Map());
  const query = queryOf(filter.value);
  const url = `${path}?limit=${limit.value}${query && `&${query}`}`;
  const { value, problem, connected } = useLive<Listed<Call>>(url, {
    account,
    read: () => ask('GET', url),
    concerns: ({ type }) => NEWS.has(type),
    pauseMs: PAUSE_MS,
    happened: ({ type, data }: GatewayEvent) => {
      if (type !== 'quality' || typeof data['deviceId'] !== 'string') return;
      const { received, sent } = data as unknown as NonNullable<Call['quality']>;
      measured.value = new Map([...measured.value, [data['deviceId'], { received, sent }]]);
    },
  });
  const shown = value.value;
  return (
    <>
      <div class="title">
        <h1>Calls</h1>
        <a class="button secondary" href={`${path}?format=csv${query && `&${query}`}`} download="calls.csv">
          Download as CSV
        </a>
      </div>
      <FilterForm />
      <Away connected={connected} />
      <Problem error={problem.value} />
      {shown?.items.length === 0 && <None isFiltered={query !== ''} />}
      {shown !== undefined && shown.items.length > 0 && (
        <table class="list calls">
          <thead>
            <tr>
              <th scope="col">Begin</th>
              <th scope="col">Caller</th>
              <th scope="col">Participant</th>
              <th scope="col">Length</th>
              <th scope="col">Codec</th>
              <th scope="col">MOS</th>
              <th scope="col">Loss</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {shown.items.map((call) => (
              <Row key={call.connectionId} call={withNews(call, measured.value)} account={account} />
            ))}
          </tbody>
        </table>
      )}
      {shown?.next !== undefined && limit.value < MOST && (
        <p>
          <button type="button" class="secondary" onClick={() => (limit.value = MOST)}>
            Show up to {MOST}
          </button>
        </p>
      )}
      {shown?.next !== undefined && limit.value === MOST && (
        <p class="hint">Only the newest {MOST} are shown. The CSV has all of them.</p>
      )}
    </>
  );
}

function withNews(call: Call, measured: ReadonlyMap<string, Call['quality']>): Call {
  const quality = call.state === 'live' ? measured.get(call.deviceId) : undefined;
  return quality ? { ...call, quality } : call;
}

function None({ isFiltered }: { readonly isFiltered: boolean }) {
  return isFiltered ? (
    <div class="empty">
      <h2>No such calls</h2>
      <p>No call is like that. Choose less, or show all.</p>
    </div>
  ) : (
    <div class="empty">
      <h2>No calls yet</h2>
      <p>Phones, browsers and programs that connect are listed here, and calls that were refused.</p>
    </div>
  );
}

function Row({ call, account }: { readonly call: Call; readonly account: string }) {
  const mos = worst(call, (direction) => direction.mos, Math.min);
  const loss = worst(call, lossOf, Math.max);
  return (
    <tr>
      <td class="begin">
        <a href={linkTo(account, 'calls', call.connectionId)}>
          <Moment moment={call.startedAt} />
        </a>
      </td>
      <td data-label="Caller">
        <Caller call={call} />
      </td>
      <td data-label="Participant" class="participant">
        {participantName(call)}
      </td>
      <td data-label="Length" class="number">
        <CallLength call={call} />
      </td>
      <td data-label="Codec">{call.received?.codecs[0] ?? call.sent?.codecs[0] ?? '–'}</td>
      <td data-label="MOS" class="number">
        {mos?.toFixed(1) ?? '–'}
      </td>
      <td data-label="Loss" class="number">
        {loss === undefined ? '–' : `${loss.toFixed(1)} %`}
      </td>
      <td class="why">
        <State call={call} /> {call.explanation}
      </td>
    </tr>
  );
}
