import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { until } from '../support/until.js';

const withinMs = 20_000;
/** How long a call lasts that its test ends. */
const LONG_MS = 60_000;

let gateway: TestGateway;
let rest: Rest;
let folder: string;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-examples-'));
  gateway = await startGateway();
  rest = new Rest(gateway);
});

afterEach(async () => {
  for (const child of running) {
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }
});

afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

function run(
  command: string,
  args: readonly string[],
  stderr: 'inherit' | 'ignore' = 'inherit',
): ChildProcess {
  const env = {
    ...process.env,
    GATEWAY_URL: gateway.httpUrl,
    SIP_ADDRESS: `127.0.0.1:${gateway.sipPort}`,
    SIP_URI: `sip:127.0.0.1:${gateway.sipPort}`,
    PORT: '0',
  };
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', stderr] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

/** An example that goes on until it is ended. */
class Example {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;

  constructor(name: string) {
    this.#child = run(process.execPath, [`examples/${name}.mjs`]);
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.lines.push(line));
  }

  /** Waits for a line. @returns its first group */
  async says(pattern: RegExp): Promise<string> {
    const found = (): string | undefined =>
      this.lines.map((line) => pattern.exec(line)?.[1]).find((group) => group !== undefined);
    return until(String(pattern), found, { withinMs, seen: () => Promise.resolve(this.lines) });
  }

  type(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** The end of its input. @returns its exit code */
  async end(): Promise<number | null> {
    const ended = once(this.#child, 'close');
    this.#child.stdin!.end();
    await ended;
    return this.#child.exitCode;
  }
}

/** SIPp with the example's scenario: a call with each token, all at once. */
function sipp(tokens: readonly string[], callMs: number): ChildProcess {
  const file = join(folder, 'tokens.csv');
  writeFileSync(file, `SEQUENTIAL\n${tokens.join('\n')}\n`);
  const count = String(tokens.length);
  const scenario = ['-sf', 'examples/call-with-token.xml', '-inf', file, '-m', count, '-r', count];
  const address = ['-i', '127.0.0.1', `127.0.0.1:${gateway.sipPort}`];
  return run('sipp', [...scenario, '-recv_timeout', String(callMs), '-nostdin', ...address], 'ignore');
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  child.stdout!.resume();
  if (running.has(child)) await once(child, 'close');
  return child.exitCode;
}

const participantOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { p: string }).p;

const isConnected = (id: string): Promise<boolean> =>
  rest.device(id).then(
    ({ kind }) => kind === 'phone',
    (error: unknown) => {
      if (String(error).includes('404')) return false;
      throw error;
    },
  );

const connected = async (...tokens: readonly string[]): Promise<void> => {
  for (const token of tokens) await until('a phone', () => isConnected(participantOf(token)), { withinMs });
};

describe('the SIPp scenario', () => {
  it('calls in with tokens, and hangs up', async () => {
    const listing = run(process.execPath, ['examples/tokens.mjs', '3']);
    const [mode, ...tokens] = (await text(listing.stdout!)).trim().split('\n');
    expect(mode).toBe('SEQUENTIAL');
    expect(tokens).toHaveLength(3);
    const calls = sipp(tokens, 3_000);
    await connected(...tokens);
    expect(await exitOf(calls)).toBe(0);
    for (const token of tokens) expect(await isConnected(participantOf(token))).toBe(false);
  });

  it('ends well when the application hangs up, and fails when it is refused', async () => {
    const { id, token } = await rest.participant();
    const call = sipp([token], LONG_MS);
    await connected(token);
    await rest.deleteParticipant(id);
    expect(await exitOf(call)).toBe(0);
    expect(await exitOf(sipp([token], 3_000))).toBe(1);
  });
});

it('the webhook receiver prints who came and went, each event once', async () => {
  const receiver = new Example('webhook-receiver');
  const callbackUrl = await receiver.says(/^Listening on (\S+)$/);
  const { id, token } = await rest.participant({ callbackUrl, tag: 'Ann' });
  const call = sipp([token], LONG_MS);
  const device = await receiver.says(/^\S+Z Ann connected \(device (\S+)\)$/);
  await rest.deleteParticipant(id);
  expect(await receiver.says(/Ann left \(device (\S+)\)$/)).toBe(device);
  expect(await exitOf(call)).toBe(0);

  const again = { event: 'onDtmf', timestamp: '1628786234676', participantId: id, deviceId: 'd', digit: '5' };
  for (let times = 0; times < 2; times += 1) {
    const headers = { 'content-type': 'application/json', 'x-patchbay-event-id': 'one' };
    const { status } = await fetch(callbackUrl, { method: 'POST', headers, body: JSON.stringify(again) });
    expect(status).toBe(204);
  }
  const { status } = await fetch(callbackUrl, { method: 'POST', body: 'no event' });
  expect(status).toBe(400);
  await receiver.says(/(pressed) 5/);
  expect(receiver.lines.filter((line) => line.includes('pressed'))).toEqual([
    `2021-08-12T16:37:14.676Z ${id} pressed 5 (device d)`,
  ]);
});

it('the Voice API application answers with BXML that brings the caller into a session', async () => {
  const application = new Example('voice-app');
  const url = await application.says(/^Listening on (\S+)$/);
  const tell = async (eventType: string): Promise<Response> => {
    const event = { eventType, callId: 'c-93d6f3c0-be584596', from: '+15555550100' };
    return fetch(url, { method: 'POST', body: JSON.stringify(event) });
  };
  const bxml = await (await tell('initiate')).text();
  const [, token, uri] =
    /<SipUri uui="93d6f3c0be584596;encoding=base64,(\S+);encoding=jwt">(.*)<\/SipUri>/.exec(bxml) ?? [];
  expect(uri).toBe(`sip:127.0.0.1:${gateway.sipPort}`);
  const agent = participantOf(await application.says(/^\+15555550100 calls\. .*#token=(\S+)$/));
  const call = sipp([token!], LONG_MS);
  await connected(token!);
  const caller = participantOf(token!);
  expect(await rest.request('GET', `/participants/${agent}`)).toMatchObject({ tag: 'agent' });

  expect((await tell('disconnect')).status).toBe(204);
  expect(await exitOf(call)).toBe(0);
  for (const id of [caller, agent])
    await expect(rest.request('GET', `/participants/${id}`)).rejects.toThrow('404');
});

describe('the contact centre', () => {
  const NAMES = ['caller', 'agent', 'supervisor'] as const;
  type Heard = Readonly<Record<(typeof NAMES)[number], readonly string[]>>;
  const LEVELS: Readonly<Record<string, Heard>> = {
    private: { caller: ['agent'], agent: ['caller'], supervisor: [] },
    monitor: { caller: ['agent'], agent: ['caller'], supervisor: ['agent', 'caller'] },
    whisper: { caller: ['agent'], agent: ['caller', 'supervisor'], supervisor: ['agent', 'caller'] },
    barge: {
      caller: ['agent', 'supervisor'],
      agent: ['caller', 'supervisor'],
      supervisor: ['agent', 'caller'],
    },
  };

  /** The requests of docs/applications.md, by level, in the order in which they are to be sent. */
  const documented = [
    ...readFileSync('docs/applications.md', 'utf8')
      .split('### Monitor, whisper, barge')[1]!
      .matchAll(/```\n((?:PUT [^]*?)+)```/g),
  ].map(([, block], i) => [Object.keys(LEVELS)[i]!, block!] as const);

  it('lets the supervisor listen, whisper and join in, by its words and as documented', async () => {
    const centre = new Example('contact-centre');
    const tokens = [
      await centre.says(/^Caller.* sip:(\S+)@/),
      await centre.says(/^Agent.*#token=(\S+)$/),
      await centre.says(/^Supervisor.*#token=(\S+)$/),
    ];
    const ids = tokens.map(participantOf);
    const nameOf = (id: string): string => NAMES[ids.indexOf(id)]!;
    const calls = sipp(tokens, LONG_MS);
    await connected(...tokens);
    const heard = async (): Promise<Heard> => {
      const lists = ids.map(async (id) =>
        (await rest.device(id)).delivery.map((stream) => nameOf(stream.participantId)).sort(),
      );
      return Object.fromEntries((await Promise.all(lists)).map((list, i) => [NAMES[i]!, list])) as never;
    };

    await centre.says(/^Now: (private)$/);
    expect(await heard()).toEqual(LEVELS['private']);
    for (const level of ['monitor', 'whisper', 'barge'] as const) {
      centre.type(level);
      await centre.says(new RegExp(`^Now: (${level})$`));
      expect(await heard(), level).toEqual(LEVELS[level]);
    }

    const { sessions } = (await rest.request('GET', `/participants/${ids[0]!}`)) as { sessions: string[] };
    expect(documented.map(([level]) => level)).toEqual(Object.keys(LEVELS));
    for (const [level, requests] of documented) {
      for (const request of requests.trim().split('\n')) {
        const named = NAMES.reduce((line, name, i) => line.replaceAll(name.toUpperCase(), ids[i]!), request);
        const [, path, body] = /^PUT (\S+) +(\{.*\})$/.exec(named)!;
        await rest.request(
          'PUT',
          `/sessions/${sessions[0]!}/participants/${path!}`,
          JSON.parse(body!) as object,
        );
      }
      expect(await heard(), `${level} as documented`).toEqual(LEVELS[level]);
    }

    expect(await centre.end()).toBe(0);
    expect(await exitOf(calls), 'the end of the session ends the calls').toBe(0);
  });
});
