import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { codeBlock } from '../support/page-blocks.js';
import { Rest } from '../support/rest.js';
import { placeCall } from '../support/sipp.js';

const PAGE = 'docs/debugging.md';

let gateway: TestGateway;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-debugging-'));
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

it('the way from "caller 4711 heard nothing" to its cause is as documented', async () => {
  const rest = new Rest(gateway);
  const session = await rest.session();
  // The application forgets the subscriptions of one of them.
  const caller = await rest.member(session, { publishPermissions: ['AUDIO'], subscriptions: {} });
  const other = await rest.member(session, { publishPermissions: ['AUDIO'] });
  const { sipPort } = gateway;
  const began = new Date(Date.now() - 60_000).toISOString();
  const invite = { from: '<sip:4711@127.0.0.1>' };
  const calls = [
    await placeCall({ sipPort, token: caller.token, invite }),
    await placeCall({ sipPort, token: other.token }),
  ];
  try {
    // Step 1: from the number and the time to the participant and the Call-ID.
    const until = new Date(Date.now() + 60_000).toISOString();
    const moments = { '2026-11-29T09:45:00Z': began, '2026-11-29T10:16:00Z': until };
    const callId = (await rest.device(caller.id)).externalId;
    expect(JSON.parse(run('caller=4711', moments))).toMatchObject({
      items: [
        { participantId: caller.id, deviceId: callId, state: 'live', sessions: [{ sessionId: session }] },
      ],
    });

    // Step 2: the other publishes, and the caller hears nobody, since it is subscribed to nobody.
    const members = JSON.parse(run('/participants"', { '<sessionId>': session })) as {
      id: string;
      subscriptions?: object;
      device: { streams: unknown[]; delivery: unknown[] };
    }[];
    const [one, two] = [caller, other].map(({ id }) => members.find((member) => member.id === id)!);
    expect(one!.subscriptions ?? {}).toEqual({});
    expect(one!.device.delivery).toEqual([]);
    expect(two!.device.streams).toHaveLength(1);
    expect(two!.device.delivery).toHaveLength(1);

    // Step 3: the lines of the call, and of the participant.
    const log = join(folder, 'patchbay.log');
    writeFileSync(log, gateway.log.map((line) => JSON.stringify(line)).join('\n'));
    const lines = run('grep -F', { 'patchbay.log': log, '<Call-ID>': callId, '<participantId>': caller.id });
    expect(lines).toContain('Call answered.');
    expect(lines).toContain(`/sessions/${session}/participants/${caller.id}`);
    expect(lines).not.toContain((await rest.device(other.id)).externalId);

    // Step 4: what was said in SIP.
    const messages = run('/trace?format=text', { '<Call-ID>': callId });
    expect(messages).toContain('From: <sip:4711@127.0.0.1>');
    expect(messages).toContain('SIP/2.0 200 OK');
  } finally {
    await Promise.all(calls.map((call) => call.end()));
  }
});

/** Runs the commands of a block, after the block that sets their variables. */
function run(having: string, replaced: Record<string, string>): string {
  const variables = codeBlock(PAGE, 'sh', 'auth=', { 'http://127.0.0.1:8080': gateway.httpUrl });
  const commands = codeBlock(PAGE, 'sh', having, replaced);
  const { status, stdout, stderr } = spawnSync('sh', ['-eu', '-c', variables + commands], {
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
  return stdout;
}
