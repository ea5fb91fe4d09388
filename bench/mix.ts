/**
 * What a phone costs the media plane: its packets received and forwarded, its mix of several talkers made, encoded and
 * sent, every 20 ms; against a bare echo of as many sockets in the same run. Also: delay that mixing adds on a clean
 * link, and heap used for each packet.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { Load } from './mix-load.js';
import type { OpenReply, Request, TimeReply } from './mix-server.js';

const PHONES = Number(process.env['BENCH_PHONES'] ?? 50);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
const TALKERS = 4;
const TURNS = 3;
/** Share of a core that may be used before calls suffer. */
const USABLE = 0.7;

interface Turn {
  /** Processor time for each phone and 20 ms. */
  readonly us: number;
  readonly returned: number;
  readonly delays: readonly number[];
}

async function ask<Reply>(child: ChildProcess, request: Request): Promise<Reply> {
  child.send(request);
  const [reply] = (await once(child, 'message')) as [Reply];
  return reply;
}

async function measure(contestant: 'echo' | 'phones', codec: string): Promise<Turn> {
  const child = fork(new URL('mix-server.ts', import.meta.url), [contestant]);
  const load = await Load.open(PHONES, codec);
  const request: Request = { kind: 'open', peerPorts: load.ports, talkers: TALKERS, codec: `${codec}/8000` };
  const { ports } = await ask<OpenReply>(child, request);
  await load.run(ports, 1); // Warm-up.
  load.sent = 0;
  load.received = 0;
  load.delays.length = 0;
  const before = await ask<TimeReply>(child, { kind: 'processorTime' });
  await load.run(ports, SECONDS);
  const after = await ask<TimeReply>(child, { kind: 'processorTime' });
  const { sent, received, delays } = load;
  load.close();
  child.kill();
  await once(child, 'exit');
  return { us: (after.us - before.us) / sent, returned: received / sent, delays };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function allocation(): Promise<number> {
  const child = fork(new URL('mix-allocation.ts', import.meta.url), {
    execArgv: [...process.execArgv, '--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'],
  });
  const [{ bytesPerPacket }] = (await once(child, 'message')) as [{ bytesPerPacket: number }];
  return bytesPerPacket;
}

for (const codec of ['PCMU', 'G722']) {
  const echo: Turn[] = [];
  const phones: Turn[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    echo.push(await measure('echo', codec));
    phones.push(await measure('phones', codec));
  }
  const echoUs = median(echo.map(({ us }) => us));
  const phoneUs = median(phones.map(({ us }) => us));
  const delays = phones.flatMap((turn) => turn.delays).sort((a, b) => a - b);
  console.log(`${codec}: ${PHONES} phones, each hears ${TALKERS} talkers, ${TURNS} turns of ${SECONDS} s`);
  console.log(`  bare echo        ${echoUs.toFixed(1)} µs per phone and 20 ms`);
  console.log(`  media plane      ${phoneUs.toFixed(1)} µs, ${(phoneUs / echoUs).toFixed(2)} times the echo`);
  console.log(`  phones on a core ${Math.floor((USABLE * 20_000) / phoneUs)} at ${USABLE * 100} % load`);
  console.log(`  packets back     ${(100 * median(phones.map(({ returned }) => returned))).toFixed(1)} %`);
  console.log(
    `  delay added      ${median(delays).toFixed(1)} ms median, ${(delays.at(-1) ?? 0).toFixed(1)} ms most of ${delays.length}`,
  );
}
console.log(`heap used for each packet, in or out: ${(await allocation()).toFixed(0)} bytes`);
