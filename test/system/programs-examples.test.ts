import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../support/gateway.js';
import { codeBlock } from '../support/page-blocks.js';
import { Rest } from '../support/rest.js';
import { placeCall, type SippCall } from '../support/sipp.js';
import { until } from '../support/until.js';

const CALLER_TONE = 440;
const LIMIT = { withinMs: 20_000 };

let gateway: TestGateway;
let rest: Rest;
let call: SippCall | undefined;
let child: ChildProcess | undefined;

beforeAll(async () => {
  gateway = await startGateway();
  rest = new Rest(gateway);
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await call?.end();
});
afterAll(() => gateway.stop());

/** Runs a program of docs/programs.md as its readers would. @returns the lines that it writes */
function run(file: string, token: string): string[] {
  const code = codeBlock('docs/programs.md', 'js', `// ${file}`, {});
  const lines: string[] = [];
  child = spawn(process.execPath, ['--input-type=module', '--eval', code, file, gateway.wsUrl, token]);
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => lines.push(...text.trim().split('\n')));
  return lines;
}

describe('docs/programs.md', () => {
  it('has an echo agent that works, and ends when its device is disconnected', async () => {
    const session = await rest.session();
    const [caller, agent] = [await rest.member(session), await rest.member(session)];
    const lines = run('echo.mjs', agent.token);
    call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: CALLER_TONE });
    await call.tones.hears(CALLER_TONE);
    expect(lines).toEqual(['in the call']);
    expect((await rest.device(agent.id)).streams).toMatchObject([{ alias: 'echo' }]);
    const ended = once(child!, 'exit');
    await rest.disconnectDevice(agent.id);
    expect(await ended).toEqual([0, null]);
    expect(lines).toEqual(['in the call', 'over: disconnected']);
  });

  it('has a transcriber that gets what is said, with who says it', async () => {
    const session = await rest.session();
    const [caller, listener] = [await rest.member(session), await rest.member(session)];
    const lines = run('transcriber.mjs', listener.token);
    call = await placeCall({ sipPort: gateway.sipPort, token: caller.token, tone: CALLER_TONE });
    const { tones } = call;
    // Steady sound is no speech: what begins after near silence is.
    tones.noise = -70;
    await until('the program', () => rest.device(listener.id).catch(() => undefined), LIMIT);
    const speaking = async (): Promise<boolean | undefined> =>
      (await rest.device(caller.id)).streams[0]?.speaking;
    await until(
      'speech',
      async () => {
        tones.frequency = CALLER_TONE;
        return speaking();
      },
      LIMIT,
    );
    tones.noise = -70;
    await until('a line', () => lines.length > 0, LIMIT);
    const [, who, seconds, level] = /^(\S+) +: ([\d.]+) s, (-[\d.]+) dB$/.exec(lines[0]!) ?? [];
    expect(who).toBe(caller.id);
    expect(Number(seconds)).toBeGreaterThan(0.2);
    expect(Number(level)).toBeGreaterThan(-40);
  });
});
