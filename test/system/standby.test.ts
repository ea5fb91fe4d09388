import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { freePort } from '../support/ports.js';
import { usePostgres } from '../support/use-postgres.js';
import { Rest } from '../support/rest.js';
import { until } from '../support/until.js';

const LIMIT = { withinMs: 30_000, everyMs: 20 };

describe('two gateways over one database', () => {
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
  async function gateway(url: string, dataDir = mkdtempSync(join(tmpdir(), 'patchbay-standby-'))) {
    folders.push(dataDir);
    const port = await freePort();
    const env = {
      PATCHBAY_STORE: url,
      PATCHBAY_HTTP_PORT: String(port),
      PATCHBAY_FREESWITCH: '',
      PATCHBAY_DRACHTIO: '',
    };
    const ready = startGateway({ dataDir, env, readyWithinMs: 90_000 });
    ready.catch(() => undefined);
    running.push(ready);
    return { ready, dataDir, at: `http://127.0.0.1:${String(port)}` };
  }

  const status = async (at: string): Promise<unknown> => {
    const answer = await fetch(`${at}/readyz`).catch(() => undefined);
    return answer && ((await answer.json()) as { status: string }).status;
  };
  const isStandby = ({ at }: { at: string }) =>
    until('a standby', async () => (await status(at)) === 'standby', LIMIT);
  const holders = (url: string) => server().sql('SELECT epoch FROM patchbay.leader', url);
  const tags = async (rest: Rest): Promise<unknown[]> => {
    const { items } = (await rest.request('GET', '/sessions')) as { items: { tag: string }[] };
    return items.map(({ tag }) => tag).sort();
  };

  it('one leads; the other takes over when it dies, and at once when it stops', async () => {
    const url = await server().database();
    const first = await gateway(url);
    const rest = new Rest(await first.ready);
    await rest.session('one');
    const second = await gateway(url);
    await isStandby(second);
    expect((await fetch(`${second.at}/healthz`)).status).toBe(200);
    const refused = await fetch(`${second.at}/v1/accounts/9900000/sessions`, { method: 'POST' });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ reason: 'PATCHBAY_NO_LEADER', code: 503 });
    await rest.session('two');
    const diedAt = performance.now();
    await (await first.ready).kill();
    const leader = await second.ready;
    console.info(`ready ${Math.round(performance.now() - diedAt)} ms after the leader's death`);
    expect(await tags(new Rest(leader))).toEqual(['one', 'two']);

    const third = await gateway(url);
    await isStandby(third);
    const stoppedAt = performance.now();
    expect(await leader.stop()).toBe(0);
    const next = await third.ready;
    console.info(`ready ${Math.round(performance.now() - stoppedAt)} ms after the leader was told to stop`);
    const taken = await next.waitForLog(({ msg }) => msg === 'this gateway writes to PostgreSQL');
    expect(taken['epoch']).toBe(3);
    expect(await tags(new Rest(next))).toEqual(['one', 'two']);
  });

  it('a standby stops when it is told to, and leaves the leader alone', async () => {
    const url = await server().database();
    const first = await gateway(url);
    await first.ready;
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-standby-'));
    folders.push(folder);
    const standby = spawn(process.execPath, ['dist/main.js'], {
      env: {
        ...process.env,
        PATCHBAY_STORE: url,
        PATCHBAY_DATA_DIR: folder,
        PATCHBAY_HTTP_PORT: String(await freePort()),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let words = '';
    standby.stdout.on('data', (data: Buffer) => (words += data.toString()));
    await until('the standby', () => words.includes('"standby"'), LIMIT);
    standby.kill('SIGTERM');
    const [code] = (await once(standby, 'exit')) as [number];
    expect(code).toBe(0);
    expect(await status(first.at)).toBe('ready');
    expect(await holders(url)).toEqual(['1']);
  });

  it('a leader that was paused changes nothing when it wakes up, and ends', async () => {
    const url = await server().database();
    const first = await gateway(url);
    const old = await first.ready;
    const rest = new Rest(old);
    await rest.session('before');
    const second = await gateway(url);
    await isStandby(second);
    process.kill(old.pid, 'SIGSTOP');
    // It lies in the paused process's socket, which reads it first of all when it wakes up.
    const late = rest.session('late').then(
      () => 'done',
      (error: unknown) => String(error),
    );
    const leader = await second.ready;
    await new Rest(leader).session('after');
    process.kill(old.pid, 'SIGCONT');
    const why = await old.waitForLog(({ level }) => level === 60);
    expect(why.msg).toContain('Another gateway has taken over the database');
    expect(await late).not.toBe('done');
    await until('its end', () => !isAlive(old.pid), LIMIT);
    expect(await tags(new Rest(leader))).toEqual(['after', 'before']);
    expect(await status(second.at)).toBe('ready');
  });

  it('a leader whose database goes away is the leader again when that is back, with a standby beside it', async () => {
    const url = await server().database();
    const first = await gateway(url);
    const rest = new Rest(await first.ready);
    await rest.session('before');
    const second = await gateway(url);
    await isStandby(second);
    await server().kill();
    await until(
      'no readiness',
      async () => {
        await rest.session().catch(() => undefined);
        return (await status(first.at)) === 'store-unavailable';
      },
      LIMIT,
    );
    await server().again();
    const leaders = await until(
      'one leader',
      async () => {
        const [one, other] = [await status(first.at), await status(second.at)];
        return [one, other].filter((each) => each === 'ready').length === 1 && { one, other };
      },
      LIMIT,
    );
    // Whichever was faster: what was acknowledged is there.
    const at = leaders.one === 'ready' ? await first.ready : await second.ready;
    expect(await tags(new Rest(at))).toContain('before');
    await new Rest(at).session('after');
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
