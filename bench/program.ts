/**
 * What programs cost, and how long sound takes to them and back, with one media host: from a phone's packet to the
 * program's message and from its message to the packet that leaves for a phone, beside the way from phone to phone in the
 * same run; and the processor time of gateway and host for each program, beside a bare WebSocket echo with as many sockets.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';
import type { Opened, Order } from './program/gateway.js';
import type { WebSocket } from 'ws';
import { bound, connected, type Delays, RATE, Room, talk } from './program/talk.js';

const PROGRAMS = Number(process.env['BENCH_PROGRAMS'] ?? 100);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 6);
const TURNS = Number(process.env['BENCH_TURNS'] ?? 3);
const WARM_UP_SECONDS = 4;
/** Rooms that have a phone that hears, too. */
const LISTENERS = Number(process.env['BENCH_LISTENERS'] ?? PROGRAMS);
/** Share of a core that may be used before calls suffer. */
const USABLE = 0.7;
/** Programs that hear each other in pairs. */
const MANY = 300;

const start = (file: URL): ChildProcess => fork(file);

async function stop(child: ChildProcess): Promise<void> {
  child.send('stop');
  await once(child, 'exit');
}

interface Turn extends Delays {
  /** Processor time for each program (and its two phones) and 20 ms. */
  readonly gatewayUs: number;
  readonly hostUs: number;
}

async function measure(channels: 'mix' | 'streams'): Promise<Turn> {
  const child = start(new URL('program/gateway.ts', import.meta.url));
  const pairs = await Promise.all(
    Array.from({ length: PROGRAMS }, async () => ({ talker: await bound(), listener: await bound() })),
  );
  const order: Order = {
    pairs: 0,
    rooms: pairs.map(({ talker, listener }, i) => ({
      talkerPort: talker.address().port,
      listenerPort: i < LISTENERS ? listener.address().port : undefined,
    })),
  };
  child.send(order);
  const [{ port, hostPid, rooms: opened }] = (await once(child, 'message')) as [Opened];
  const delays: Delays = { phoneToPhone: [], phoneToProgram: [], programToPhone: [] };
  const programs = [];
  const rooms: Room[] = [];
  for (const [i, { token, ...ports }] of opened.entries()) {
    const url = `ws://127.0.0.1:${port}/program/?token=${token}&rate=${RATE}&channels=${channels}`;
    const program = await connected(url);
    programs.push(program);
    // The listening phone shows itself, so that it is sent what it hears.
    if (i < LISTENERS)
      pairs[i]!.listener.send(
        Buffer.from([0x80, 0, ...new Uint8Array(10), 0xff]),
        ports.listenerPort,
        '127.0.0.1',
      );
    rooms.push(new Room({ ...pairs[i]!, program }, ports, delays, channels === 'streams'));
  }
  const run = (seconds: number) =>
    talk(seconds, rooms.length, (frame, room) => rooms[room]!.send(frame, room));
  await run(WARM_UP_SECONDS);
  for (const list of Object.values(delays) as number[][]) list.length = 0;
  const before = [child.pid!, hostPid].map(processorSeconds);
  await run(SECONDS);
  const [gatewayUs, hostUs] = [child.pid!, hostPid].map(
    (pid, i) => ((processorSeconds(pid) - before[i]!) * 1e6) / (PROGRAMS * SECONDS * 50),
  ) as [number, number];
  for (const program of programs) program.terminate();
  for (const { talker, listener } of pairs) [talker, listener].forEach((socket) => socket.close());
  await stop(child);
  return { ...delays, gatewayUs, hostUs };
}

/** @returns processor time of gateway and host for each of many programs that hear each other in pairs, and 20 ms */
async function measurePairs(): Promise<{ gatewayUs: number; hostUs: number }> {
  const child = start(new URL('program/gateway.ts', import.meta.url));
  child.send({ pairs: MANY / 2, rooms: [] } satisfies Order);
  const [{ port, hostPid, pairs }] = (await once(child, 'message')) as [Opened];
  const programs: WebSocket[] = [];
  for (const token of pairs)
    programs.push(await connected(`ws://127.0.0.1:${port}/program/?token=${token}&rate=${RATE}`));
  for (const program of programs) program.on('message', () => undefined);
  const message = Buffer.alloc((RATE / 50) * 2, 7);
  const used = await whileTalking([child.pid!, hostPid], programs, () => message);
  for (const program of programs) program.terminate();
  await stop(child);
  return { gatewayUs: used[0]!, hostUs: used[1]! };
}

/** @returns processor time of each process for each socket and 20 ms */
async function whileTalking(
  pids: readonly number[],
  sockets: readonly WebSocket[],
  message: () => Buffer,
): Promise<number[]> {
  const run = (seconds: number) =>
    talk(seconds, sockets.length, (_frame, at) => sockets[at]!.send(message()));
  await run(WARM_UP_SECONDS);
  const before = pids.map(processorSeconds);
  await run(SECONDS);
  return pids.map((pid, i) => ((processorSeconds(pid) - before[i]!) * 1e6) / (sockets.length * SECONDS * 50));
}

/** @returns processor time of a bare echo for each socket and 20 ms */
async function echo(count: number): Promise<number> {
  const child = start(new URL('program/echo.ts', import.meta.url));
  const [port] = (await once(child, 'message')) as [number];
  const sockets = await Promise.all(Array.from({ length: count }, () => connected(`ws://127.0.0.1:${port}`)));
  for (const socket of sockets) socket.on('message', () => undefined);
  const message = Buffer.alloc((RATE / 50) * 2);
  const [us] = await whileTalking([child.pid!], sockets, () => message);
  for (const socket of sockets) socket.terminate();
  await stop(child);
  return us!;
}

const at = (values: readonly number[], share: number): string =>
  ([...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN).toFixed(1);
const figures = (values: readonly number[]): string =>
  `${at(values, 0.5)} ms median, ${at(values, 0.99)} ms p99 (${values.length})`;

console.log(
  `${PROGRAMS} programs at ${RATE} Hz, each in a room with two phones (PCMU); ${TURNS} turns of ${SECONDS} s`,
);
const echoes: number[] = [];
for (const channels of ['mix', 'streams'] as const) {
  const turns: Turn[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    echoes.push(await echo(PROGRAMS));
    turns.push(await measure(channels));
  }
  const all = (name: keyof Delays): number[] => turns.flatMap((turn) => turn[name]);
  const us = (name: 'gatewayUs' | 'hostUs'): number => median(turns.map((turn) => turn[name]));
  const echoUs = median(echoes);
  console.log(`  channels=${channels}`);
  console.log(`    phone to phone    ${figures(all('phoneToPhone'))}`);
  console.log(`    phone to program  ${figures(all('phoneToProgram'))}`);
  console.log(`    program to phone  ${figures(all('programToPhone'))}`);
  console.log(
    `    gateway ${us('gatewayUs').toFixed(0)} µs, host ${us('hostUs').toFixed(0)} µs, echo ${echoUs.toFixed(0)} µs ` +
      `for each program and 20 ms: ${((us('gatewayUs') + us('hostUs')) / echoUs).toFixed(1)} times the echo; ` +
      `${Math.floor((USABLE * 20_000) / us('gatewayUs'))} programs for a gateway's core, ` +
      `${Math.floor((USABLE * 20_000) / us('hostUs'))} with their phones for a host's, at ${USABLE * 100} %`,
  );
}

const pairs = [];
const bare = [];
for (let turn = 0; turn < TURNS; turn += 1) {
  bare.push(await echo(MANY));
  pairs.push(await measurePairs());
}
const gatewayUs = median(pairs.map((turn) => turn.gatewayUs));
const hostUs = median(pairs.map((turn) => turn.hostUs));
const ratio = (gatewayUs + hostUs) / median(bare);
console.log(`  ${MANY} programs that hear each other in pairs`);
console.log(
  `    gateway ${gatewayUs.toFixed(0)} µs, host ${hostUs.toFixed(0)} µs, echo ${median(bare).toFixed(0)} µs for each program ` +
    `and 20 ms: ${ratio.toFixed(1)} times the echo; ${Math.floor((USABLE * 20_000) / (gatewayUs + hostUs))} programs on ` +
    `one core at ${USABLE * 100} %, ${Math.floor(20_000 / (gatewayUs + hostUs))} on the whole of one`,
);
