import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { servesAgain } from '../support/serves-again.js';
import { usePostgres } from '../support/use-postgres.js';
import { DEVELOPMENT_ACCOUNT, Rest } from '../support/rest.js';
import { until } from '../support/until.js';

const LIMIT = { withinMs: 30_000, everyMs: 20 };

describe('the leader of the gateways of a database', () => {
  const server = usePostgres();
  const folders: string[] = [];
  const running: Promise<TestGateway>[] = [];

  afterEach(async () => {
    for (const gateway of running.splice(0))
      await gateway.then(
        (one) => one.kill(),
        () => undefined,
      );
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** Starts one, as on a machine of its own. */
  async function gateway(url: string, dataDir = mkdtempSync(join(tmpdir(), 'patchbay-leaders-'))) {
    folders.push(dataDir);
    const env = { PATCHBAY_STORE: url, PATCHBAY_FREESWITCH: '', PATCHBAY_DRACHTIO: '' };
    const started = startGateway({ dataDir, env });
    running.push(started);
    return started;
  }

  const status = async ({ httpUrl }: TestGateway): Promise<unknown> => {
    const answer = await fetch(`${httpUrl}/readyz`).catch(() => undefined);
    return answer && ((await answer.json()) as { status: string }).status;
  };
  const epochs = (url: string) => server().sql('SELECT epoch FROM patchbay.leader', url);
  const tags = async (rest: Rest): Promise<unknown[]> => {
    const { items } = (await rest.request('GET', '/sessions')) as { items: { tag: string }[] };
    return items.map(({ tag }) => tag).sort();
  };
  it('one leads, and the others pass REST on to it; another takes over when it dies, and at once when it stops', async () => {
    const url = await server().database();
    const first = await gateway(url);
    await new Rest(first).session('one');
    const second = await gateway(url);
    expect(await status(second)).toBe('ready');
    const rest = new Rest(second);
    await rest.session('two');
    expect(await tags(new Rest(first))).toEqual(['one', 'two']);
    const wrong = await fetch(`${second.httpUrl}/v1/accounts/9900000/sessions`);
    expect(wrong.status).toBe(401);
    // A client cannot say that it is a gateway.
    const false_ = await fetch(`${second.httpUrl}/v1/accounts/9900000/sessions`, {
      headers: { 'x-patchbay-secret': 'x', 'x-patchbay-client': '203.0.113.9' },
    });
    expect(false_.status).toBe(401);
    const page = await fetch(`${second.httpUrl}/`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);

    await first.kill();
    console.info(`REST again ${await servesAgain(rest, 'three')} ms after the leader's death`);
    expect(await tags(rest)).toEqual(['one', 'three', 'two']);

    const third = await gateway(url);
    const [own, passedOn] = [await eventsOf(second), await eventsOf(third)];
    expect(await second.stop()).toBe(0);
    // Ended, and not cut off.
    expect(await own.rest()).toContain('event:reset');
    await passedOn.rest().catch(() => undefined);
    const next = new Rest(third);
    console.info(`REST again ${await servesAgain(next, 'four')} ms after the leader had stopped`);
    const taken = await third.waitForLog(({ msg }) => msg === 'this gateway writes to PostgreSQL');
    expect(taken['epoch']).toBe(3);
    expect(await tags(next)).toEqual(['four', 'one', 'three', 'two']);
  });

  it('one that does not lead stops when it is told to, and leaves the leader alone', async () => {
    const url = await server().database();
    const first = await gateway(url);
    const second = await gateway(url);
    const events = await eventsOf(second);
    expect(await second.stop()).toBe(0);
    expect(await events.rest()).toContain('event:reset');
    expect(await status(first)).toBe('ready');
    expect(await epochs(url)).toEqual(['1']);
  });

  it('one that waits for a leader stops when it is told to', async () => {
    const url = await server().database();
    const first = await gateway(url);
    expect(await first.stop()).toBe(0);
    // A leader that cannot be reached.
    await server().sql(
      "UPDATE patchbay.leader SET holder = 'another', address = NULL, expires_at = now() + interval '1 hour'",
      url,
    );
    const dataDir = mkdtempSync(join(tmpdir(), 'patchbay-leaders-'));
    folders.push(dataDir);
    const waiting = spawn(process.execPath, ['dist/main.js'], {
      env: { ...process.env, PATCHBAY_STORE: url, PATCHBAY_DATA_DIR: dataDir, PATCHBAY_HTTP_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let words = '';
    waiting.stdout.on('data', (data: Buffer) => (words += data.toString()));
    await until('that it follows', () => words.includes('this one follows'), LIMIT);
    waiting.kill('SIGTERM');
    const [code] = (await once(waiting, 'exit')) as [number];
    expect(code, words).toBe(0);
    expect(words).toContain('"stopped"');
  });

  it('a leader that was paused changes nothing when it wakes up, and ends', async () => {
    const url = await server().database();
    const old = await gateway(url);
    const rest = new Rest(old);
    await rest.session('before');
    const second = await gateway(url);
    process.kill(old.pid, 'SIGSTOP');
    // It lies in the paused process's socket, which reads it first of all when it wakes up.
    const late = rest.session('late').then(
      () => 'done',
      (error: unknown) => String(error),
    );
    const other = new Rest(second);
    await servesAgain(other, 'after');
    process.kill(old.pid, 'SIGCONT');
    const why = await old.waitForLog(({ level }) => level === 60);
    expect(why.msg).toContain('Another gateway has taken over the database');
    expect(await late).not.toBe('done');
    await until('its end', () => !isAlive(old.pid), LIMIT);
    expect(await tags(other)).toEqual(['after', 'before']);
    expect(await status(second)).toBe('ready');
  });

  it('the database goes away: changes are refused everywhere, and one leads again when it is back', async () => {
    const url = await server().database();
    const [first, second] = [await gateway(url), await gateway(url)];
    const all = [new Rest(first), new Rest(second)];
    await all[0]!.session('before');
    await server().kill();
    const refused = async (): Promise<boolean> => {
      const tries = await Promise.allSettled(all.map((rest) => rest.session('meanwhile')));
      return tries.every((one) => one.status === 'rejected' && String(one.reason).includes('503'));
    };
    await until('refusals', refused, LIMIT);
    await server().again();
    for (const rest of all) await servesAgain(rest, 'after');
    // What was under way when the database went away may be there too.
    for (const rest of all)
      expect((await tags(rest)).filter((tag) => tag !== 'meanwhile')).toEqual(['after', 'after', 'before']);
  });
});

/** Reads the events of the account, as the console does. Resolves when the first has come. */
async function eventsOf({ httpUrl }: TestGateway) {
  const { id, user, password } = DEVELOPMENT_ACCOUNT;
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const answer = await fetch(`${httpUrl}/v1/accounts/${id}/events`, { headers: { authorization } });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const readOn = async (): Promise<boolean> => {
    const { done, value = '' } = await reader.read();
    text += value;
    return !done;
  };
  while (!text.includes('event:reset')) if (!(await readOn())) throw new Error('It has ended at once.');
  return {
    /** Resolves at its end. Rejects when it is cut off. */
    async rest(): Promise<string> {
      while (await readOn());
      return text;
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
