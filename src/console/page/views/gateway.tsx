import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { ApiError, ask } from '../gateway/client.js';
import type { Devices, Report, Server, Webhooks, WholeGateway } from '../gateway/report.js';
import { me } from '../gateway/signed-in.js';
import { Problem, Since } from '../parts/index.js';

const STATES: Readonly<Record<WholeGateway['load']['state'], string>> = {
  open: 'New calls are let in',
  full: 'Full: as many calls as the operator allows',
  overloaded: 'Overloaded: new calls are refused',
};

const REFRESH_MS = 3_000;

/** How the gateway is, and what the account uses of it. */
export function GatewayView({ account }: { readonly account: string }) {
  const report = useSignal<Report | undefined>(undefined);
  const problem = useSignal<ApiError | undefined>(undefined);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let isShown = true;
    const refresh = async (): Promise<void> => {
      try {
        const read = await ask<Report>('GET', `/v1/accounts/${encodeURIComponent(account)}/gateway`);
        if (isShown) report.value = read;
        problem.value = undefined;
      } catch (error) {
        problem.value = error instanceof ApiError ? error : new ApiError(0, '', String(error));
      }
      if (isShown) timer = setTimeout(() => void refresh(), REFRESH_MS);
    };
    void refresh();
    return () => {
      isShown = false;
      clearTimeout(timer);
    };
  }, [account]);
  const shown = report.value;
  return (
    <>
      <div class="title">
        <h1>Gateway</h1>
        {shown && (
          <p class="quiet-text">
            Version {shown.version}
            {shown.gateway && (
              <>
                , up for <Since moment={shown.gateway.startedAt} />
              </>
            )}
          </p>
        )}
      </div>
      <Problem error={problem.value} />
      {problem.value && shown && <p class="notice">What is shown may be old.</p>}
      {shown?.gateway && <Warnings warnings={shown.gateway.warnings} />}
      {shown && (
        <div class="cards">
          {shown.gateway && <Whole gateway={shown.gateway} />}
          <Own own={shown.own} />
        </div>
      )}
      {shown?.gateway && <Gateways gateways={shown.gateway.gateways} />}
      {shown?.gateway && <Hosts gateway={shown.gateway} />}
      {shown && !shown.gateway && me.value?.isOperator !== true && (
        <p class="hint">Accounts named in PATCHBAY_OPERATORS see the whole gateway.</p>
      )}
    </>
  );
}

function Warnings({ warnings }: Pick<WholeGateway, 'warnings'>) {
  if (warnings.length === 0) return <p class="hint">Nothing is questionable about the configuration.</p>;
  return (
    <section aria-labelledby="warnings-title" class="ways-in">
      <h2 id="warnings-title">Warnings</h2>
      {warnings.map(({ code, message, advice }) => (
        <div class="notice" key={code}>
          <p>
            <strong>{message}</strong>
          </p>
          <p>{advice}</p>
        </div>
      ))}
    </section>
  );
}

function Whole({ gateway }: { readonly gateway: WholeGateway }) {
  const { load, sip, freeswitch, ports, certificates, webhooks, store } = gateway;
  const { first, last, used } = ports.rtp;
  return (
    <>
      <Card title="Calls">
        <Fact name="Admission">
          <State isGood={load.state === 'open'}>{STATES[load.state]}</State>
        </Fact>
        <Fact name="Connected">
          {inWords(load.devices)}
          {load.maxCalls !== undefined && `, of ${load.maxCalls} at most`}
        </Fact>
        <Fact name="Main thread">
          <Busy share={load.busy} label="Main thread" />, {milliseconds(load.delayMs)} late
        </Fact>
        <Fact name="Processors">{load.processors.toFixed(2)} in use</Fact>
      </Card>
      <Card title="SIP">
        <Fact name="Server">{sip.server === 'embedded' ? 'Embedded in the gateway' : 'drachtio-server'}</Fact>
        <Fact name="Phones call">
          {sip.uri === undefined ? (
            <State isGood={false}>No SIP server is there</State>
          ) : (
            <code>{sip.uri}</code>
          )}
        </Fact>
        {sip.connections.map((server) => (
          <Fact name="Connection" key={server.address}>
            <Connection server={server} />
          </Fact>
        ))}
        {freeswitch.length === 0 && <Fact name="FreeSWITCH">Not used</Fact>}
        {freeswitch.map((server) => (
          <Fact name="FreeSWITCH" key={server.address}>
            <Connection server={server} />, {count(server.calls, 'call')}
          </Fact>
        ))}
        {certificates.map(({ usedFor, endsAt }) => (
          <Fact name={`Certificate of ${usedFor}`} key={usedFor}>
            ends on <Day moment={endsAt} />
          </Fact>
        ))}
      </Card>
      <Card title="Ports">
        <Fact name="HTTP">
          <code>{ports.http}</code>
        </Fact>
        <Fact name="WebRTC">
          <code>{ports.webrtc}</code> and those that follow, one for each media host
        </Fact>
        <Fact name="RTP">
          <code>
            {first}–{last}
          </code>
          , {used} of {last - first + 1} in use
        </Fact>
      </Card>
      <Card title="Webhooks and disk">
        <Fact name="Webhooks">
          <Waiting webhooks={webhooks} />
        </Fact>
        <Fact name="Since the start">
          {webhooks.givenUp} given up, {webhooks.dropped} dropped
        </Fact>
        <Fact name="Disk">
          <State isGood={store.writable}>
            {store.writable ? 'Takes writes' : 'Takes no writes: free some space, see the log'}
          </State>
          , {store.waiting} waiting
        </Fact>
        <Fact name="Last copy">
          {store.backedUpAt === undefined ? (
            'None yet'
          ) : (
            <>
              <Since moment={store.backedUpAt} /> ago
            </>
          )}
        </Fact>
      </Card>
    </>
  );
}

function Own({ own }: Pick<Report, 'own'>) {
  return (
    <Card title="This account">
      <Fact name="Connected">
        {inWords(own.devices)}
        {own.maxDevices !== undefined && `, of ${own.maxDevices} at most`}
      </Fact>
      <Fact name="Event readers">
        {own.eventReaders} of {own.maxEventReaders}
      </Fact>
      <Fact name="REST requests">
        {own.requestsPerSecond === undefined ? 'No limit' : `${own.requestsPerSecond} a second at most`}
      </Fact>
      <Fact name="Webhooks">
        <Waiting webhooks={own.webhooks} />
      </Fact>
    </Card>
  );
}

function Gateways({ gateways }: Pick<WholeGateway, 'gateways'>) {
  if (gateways.length === 0) return null;
  return (
    <section aria-labelledby="gateways-title" class="ways-in">
      <h2 id="gateways-title">Gateways</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">Gateway</th>
            <th scope="col">State</th>
            <th scope="col">Devices</th>
          </tr>
        </thead>
        <tbody>
          {gateways.map(({ id, address, leads, connected, devices }) => (
            <tr key={id}>
              <th scope="row" title={id}>
                {address ?? id}
                {leads && ' (leads: the rest of this page is about it)'}
              </th>
              <td>
                <State isGood={connected}>{connected ? 'Connected' : 'Away'}</State>
              </td>
              <td class="number">{devices}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Hosts({ gateway: { mediaHosts, mediaHostsLost } }: { readonly gateway: WholeGateway }) {
  return (
    <section aria-labelledby="hosts-title" class="ways-in">
      <h2 id="hosts-title">Media hosts</h2>
      {mediaHosts.length === 0 ? (
        <p>Media run in the gateway’s own process (PATCHBAY_MEDIA_HOSTS is 0).</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">Host</th>
              <th scope="col">Devices</th>
              <th scope="col">Busy</th>
              <th scope="col">Late</th>
              <th scope="col">Skipped</th>
            </tr>
          </thead>
          <tbody>
            {mediaHosts.map((host, index) => (
              <tr key={host.id}>
                <th scope="row" title={host.id}>
                  {index + 1}
                  {host.isRetired && ' (retired)'}
                </th>
                <td class="number">{host.devices}</td>
                <td class="number">
                  <Busy share={host.busy} label={`Media host ${index + 1}`} />
                </td>
                <td class="number">{milliseconds(host.delayMs)}</td>
                <td class="number">{host.framesSkipped}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {mediaHostsLost > 0 && (
        <p class="hint">{count(mediaHostsLost, 'media host')} died since the start; see the log.</p>
      )}
    </section>
  );
}

interface Titled {
  readonly title: string;
  readonly children: ComponentChildren;
}

function Card({ title, children }: Titled) {
  const id = `card-${title.replaceAll(' ', '-').toLowerCase()}`;
  return (
    <section class="card" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <dl class="facts-list">{children}</dl>
    </section>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** By its words as well as by its colour. */
function State({ isGood, children }: { readonly isGood: boolean; readonly children: ComponentChildren }) {
  return <span class={isGood ? 'good' : 'problem'}>{children}</span>;
}

function Connection({ server: { address, connected } }: { readonly server: Server }) {
  return (
    <>
      {address !== 'embedded' && <code>{address} </code>}
      <State isGood={connected}>{connected ? 'connected' : 'not connected'}</State>
    </>
  );
}

function Busy({ share, label }: { readonly share: number; readonly label: string }) {
  const percent = Math.round(share * 100);
  return (
    <span class="busy">
      <meter class="level" min={0} max={100} high={80} value={percent} aria-label={`${label}, busy`} />{' '}
      {percent} %
    </span>
  );
}

function Waiting({ webhooks: { waiting, failing } }: { readonly webhooks: Webhooks }) {
  if (waiting === 0) return <>None wait</>;
  const ofThese = failing > 0 && (
    <State isGood={false}>of {count(failing, 'participant')} the next one failed, and is tried again</State>
  );
  return (
    <>
      {waiting} waiting{ofThese && ', '}
      {ofThese}
    </>
  );
}

function Day({ moment }: { readonly moment: string }) {
  return <time dateTime={moment}>{new Date(moment).toLocaleDateString()}</time>;
}

const milliseconds = (ms: number): string => `${Math.round(ms)} ms`;

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const inWords = (devices: Devices): string =>
  Object.entries(devices)
    .filter(([, number]) => number > 0)
    .map(([kind, number]) => count(number, kind))
    .join(', ') || 'Nobody';
