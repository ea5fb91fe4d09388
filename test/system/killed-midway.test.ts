import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { Rest } from '../support/rest.js';
import { until } from '../support/until.js';

const WRITERS = 16;
const ROUNDS = 3;
const ANSWERS_BEFORE_THE_KILL = 200;

let dataDir: string;
let gateway: TestGateway;

const start = () => startGateway({ dataDir, env: { PATCHBAY_API_RATE: '0', PATCHBAY_LOG_LEVEL: 'info' } });

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'patchbay-killed-'));
  gateway = await start();
});

afterAll(async () => {
  await gateway.stop();
  rmSync(dataDir, { recursive: true });
});

/** What the gateway's answers promise: what must be there after a restart, and what must not. */
class Answered {
  readonly memberships = new Map<string, string>();
  readonly deleted = new Set<string>();
  count = 0;
  /** Set before the kill: failures after it are expected. */
  ending = false;

  /** Creates, joins and deletes without pause until the gateway is gone. */
  async write(rest: Rest): Promise<void> {
    try {
      for (;;) {
        const session = await rest.session();
        const [stays, goes] = [await rest.participant(), await rest.participant()];
        await rest.join(session, stays.id, { sessionId: session });
        this.memberships.set(stays.id, session);
        await rest.deleteParticipant(goes.id);
        this.deleted.add(goes.id);
        this.count += 5;
      }
    } catch (error) {
      if (!this.ending) throw error;
    }
  }
}

interface Listed {
  readonly id: string;
}

/** All participants of the account, by id. */
async function participants(rest: Rest): Promise<ReadonlyMap<string, Listed>> {
  const all = new Map<string, Listed>();
  let cursor = '';
  do {
    const page = await rest.request('GET', `/participants?limit=1000${cursor}`);
    const { items, next } = page as { items: readonly Listed[]; next?: string };
    for (const item of items) all.set(item.id, item);
    cursor = next === undefined ? '' : `&cursor=${next}`;
  } while (cursor !== '');
  return all;
}

it('a gateway that is killed while it writes keeps everything that it has answered', async () => {
  const answered = new Answered();
  for (let round = 0; round < ROUNDS; round += 1) {
    const rest = new Rest(gateway);
    const before = answered.count;
    answered.ending = false;
    const writers = Array.from({ length: WRITERS }, () => answered.write(rest));
    await until('writing to be under way', () => answered.count >= before + ANSWERS_BEFORE_THE_KILL, {
      withinMs: 20_000,
    });
    answered.ending = true;
    await gateway.kill();
    await Promise.all(writers);
    gateway = await start();
  }
  const kept = await participants(new Rest(gateway));
  for (const [id, session] of answered.memberships) {
    expect(kept.get(id)).toMatchObject({ sessions: [session], subscriptions: { sessionId: session } });
  }
  expect([...answered.deleted].filter((id) => kept.has(id))).toEqual([]);
  expect(answered.memberships.size).toBeGreaterThan(ROUNDS * (ANSWERS_BEFORE_THE_KILL / 10));
});

it('a second gateway does not touch the data folder of the first', async () => {
  const second = spawn(process.execPath, ['dist/main.js'], {
    env: {
      ...process.env,
      PATCHBAY_DATA_DIR: dataDir,
      PATCHBAY_HTTP_PORT: '0',
      PATCHBAY_SIP_PORT: '0',
      PATCHBAY_WEBRTC_PORT: '0',
    },
  });
  const [said] = await Promise.all([text(second.stdout), once(second, 'exit')]);
  expect(second.exitCode).not.toBe(0);
  expect(said).toContain('Another gateway uses the data folder');
});
