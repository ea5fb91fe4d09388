/**
 * Calls set up per second, and the time from INVITE to 200. SIPp is the caller; it and the answerer are each held to one
 * core. The answerers are the whole gateway (which verifies the token, negotiates media and connects the participant),
 * the embedded SIP server with a small drachtio-srf application that answers with a fixed SDP, and SIPp, which only
 * answers. A bare echo on the gateway's core measures how much of the waiting is due to the machine.
 *
 * BENCH_CALLS (20000) calls at BENCH_RATE (200) each second over BENCH_TRANSPORT (udp), each held for half a
 * second, to the gateway; a fifth of them to the others.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { startGateway } from '../test/support/gateway.js';
import { freeUdpPort } from '../test/support/ports.js';
import { Rest } from '../test/support/rest.js';
import { callAll, type Outcome } from './sip/caller.js';
import { Control, type MachineNoise } from './sip/control.js';
import { moveTo, onCore } from './sip/cores.js';

const CALLS = Number(process.env['BENCH_CALLS'] ?? 20_000);
const FEWER = Math.ceil(CALLS / 5);
const RATE = Number(process.env['BENCH_RATE'] ?? 200);
const TRANSPORT = process.env['BENCH_TRANSPORT'] === 'tcp' ? 't1' : 'u1';
/** A participant can be in one call at a time: enough of them that none is still in a call. */
const PARTICIPANTS = RATE * 5;
const NO_TOKENS = ['none'];

function load(calls: number): Parameters<typeof callAll>[2] {
  return { calls, rate: RATE, transport: TRANSPORT };
}

async function measureGateway(): Promise<Outcome & { machine: MachineNoise }> {
  moveTo(0);
  const env = { PATCHBAY_LOG_LEVEL: 'info', PATCHBAY_API_RATE: '0' };
  // Reading its log on SIPp's core would hold up SIPp.
  const gateway = await startGateway({ env, keepLog: false });
  moveTo(1);
  try {
    const rest = new Rest(gateway);
    const tokens: string[] = [];
    while (tokens.length < PARTICIPANTS) tokens.push((await rest.participant()).token);
    await callAll(gateway.sipPort, tokens, load(RATE * 2));
    const control = await Control.start();
    const outcome = await callAll(gateway.sipPort, tokens, load(CALLS));
    return { ...outcome, machine: control.stop() };
  } finally {
    await gateway.stop();
  }
}

async function measureServer(): Promise<Outcome> {
  const [execPath, execArgv] = onCore(0, process.execPath, process.execArgv);
  const child = fork(new URL('sip/server.ts', import.meta.url), { execPath, execArgv });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  try {
    await callAll(port, NO_TOKENS, load(RATE * 2));
    return await callAll(port, NO_TOKENS, load(FEWER));
  } finally {
    child.kill('SIGKILL');
  }
}

async function measureSipp(): Promise<Outcome> {
  const port = await freeUdpPort();
  const args = ['-sn', 'uas', '-i', '127.0.0.1', '-p', String(port), '-t', TRANSPORT, '-nostdin'];
  const child = spawn(...onCore(0, 'sipp', args), { stdio: 'ignore', cwd: tmpdir() });
  await once(child, 'spawn');
  try {
    return await callAll(port, NO_TOKENS, load(FEWER));
  } finally {
    child.kill('SIGKILL');
  }
}

function printMachine({ p50, p99, max, stolen }: MachineNoise): void {
  const times = [p50, p99, max].map((ms) => ms.toFixed(1).padStart(8)).join('');
  console.log(`${'bare echo beside'.padEnd(18)}${''.padStart(8)}${times}   ${stolen} ms stolen`);
}

function print(name: string, { failed, perSecond, p50, p99, max }: Outcome): void {
  const times = [p50, p99, max].map((ms) => ms.toFixed(0).padStart(8)).join('');
  console.log(`${name.padEnd(18)}${perSecond.toFixed(0).padStart(8)}${times}${String(failed).padStart(8)}`);
}

const gateway = await measureGateway();
const server = await measureServer();
const sipp = await measureSipp();
console.log(`${CALLS} calls at ${RATE}/s, INVITE to 200`);
console.log(`${''.padEnd(18)} calls/s  p50 ms  p99 ms  max ms  failed`);
print('whole gateway', gateway);
printMachine(gateway.machine);
print('SIP server alone', server);
print('SIPp answering', sipp);
console.log(`p99, gateway to SIPp: ${(gateway.p99 / Math.max(sipp.p99, 1)).toFixed(1)}`);
process.exitCode = gateway.failed > 0 ? 1 : 0;
