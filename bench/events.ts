/**
 * What it costs that somebody reads the events of one session, as the console's page does, while a gateway has 200: the
 * processor time of the gateway and of its media host with a reader and without one, in turns of the same run. Programs talk
 * in some of the sessions, and subscriptions change.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { sine } from '../src/media/phone/testing/spectrum.js';
import { leftHosts, startGateway } from '../test/support/gateway.js';
import { DEVELOPMENT_ACCOUNT, Rest, type TestParticipant } from '../test/support/rest.js';
import { median } from './median.js';
import { processorSeconds } from './process-time.js';
import { connected, RATE } from './program/talk.js';

const SESSIONS = Number(process.env['BENCH_SESSIONS'] ?? 200);
const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 8);
const TURNS = Number(process.env['BENCH_TURNS'] ?? 5);
/** Participants in the session that is read, and in each other one. */
const [WATCHED, OTHERS] = [20, 3];
/** Programs that talk in the session that is read; other sessions in which two do. */
const TALKERS = 4;
const TALKING = 10;
/** Changes of subscriptions, a second. */
const CHANGES = 5;
/** Share of a core that the events may take. */
const ALLOWED = 0.02;
const FRAME_MS = 20;

const samples = Buffer.from(sine(500, RATE, RATE / 50, 0, 8_000).buffer);

const gateway = await startGateway({
  env: { PATCHBAY_MEDIA_HOSTS: '1', PATCHBAY_LOG_LEVEL: 'info' },
  keepLog: false,
});
const hosts = leftHosts(gateway.dataDir);
const rest = new Rest(gateway);

interface Room {
  readonly session: string;
  readonly members: readonly TestParticipant[];
}

async function room(size: number): Promise<Room> {
  const session = await rest.session();
  const members = await Promise.all(Array.from({ length: size }, () => rest.member(session)));
  return { session, members };
}

const programOf = ({ token }: TestParticipant): Promise<WebSocket> =>
  connected(`${gateway.wsUrl}/program/?token=${token}&rate=${RATE}&channels=mix`);

/** Reads the events until it is ended. */
class Reader {
  readonly #abort = new AbortController();
  /** How many events `levels` came. */
  levels = 0;

  async read(session: string): Promise<void> {
    const { id, user, password } = DEVELOPMENT_ACCOUNT;
    const response = await fetch(`${gateway.httpUrl}/v1/accounts/${id}/events?sessionId=${session}`, {
      headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
      signal: this.#abort.signal,
    });
    const take = async (): Promise<void> => {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
        this.levels +=
          Buffer.from(chunk)
            .toString()
            .split(/event: ?levels/).length - 1;
    };
    take().catch((error: unknown) => {
      if (!this.#abort.signal.aborted) throw error;
    });
  }

  end(): void {
    this.#abort.abort();
  }
}

const rooms = [await room(WATCHED)];
while (rooms.length < SESSIONS) rooms.push(await room(OTHERS));
const [watched] = rooms as [Room, ...Room[]];
const talkers = [
  ...watched.members.slice(0, TALKERS),
  ...rooms.slice(1, 1 + TALKING).flatMap(({ members }) => members.slice(0, 2)),
];
const programs = await Promise.all(talkers.map(programOf));

let isOver = false;
const started = performance.now();
let frames = 0;
const talking = setInterval(() => {
  const due = Math.floor((performance.now() - started) / FRAME_MS);
  for (; frames < due; frames += 1) for (const program of programs) program.send(samples);
}, FRAME_MS / 2);

async function change(): Promise<void> {
  for (let number = 0; !isOver; number += 1) {
    const { session, members } = rooms[number % rooms.length]!;
    const everyone = number % 2 === 0;
    await rest.subscribe(session, members[0]!.id, everyone ? { sessionId: session } : {});
    await pause(1000 / CHANGES);
  }
}
const changing = change();

interface Turn {
  /** Shares of a core. */
  readonly gateway: number;
  readonly host: number;
}

const hostSeconds = (): number => hosts.reduce((sum, pid) => sum + processorSeconds(pid), 0);

async function measure(): Promise<Turn> {
  const before = { gateway: processorSeconds(gateway.pid), host: hostSeconds(), at: performance.now() };
  await pause(SECONDS * 1000);
  const seconds = (performance.now() - before.at) / 1000;
  return {
    gateway: (processorSeconds(gateway.pid) - before.gateway) / seconds,
    host: (hostSeconds() - before.host) / seconds,
  };
}

const turns: { readonly without: Turn; readonly with: Turn; readonly levels: number }[] = [];
// Until then much of the time goes into compiling.
await measure();
for (let turn = 0; turn < TURNS; turn += 1) {
  const without = await measure();
  const reader = new Reader();
  await reader.read(watched.session);
  await pause(1_000);
  const levels = reader.levels;
  const reading = await measure();
  turns.push({ without, with: reading, levels: (reader.levels - levels) / SECONDS });
  reader.end();
  await pause(500);
}
isOver = true;
clearInterval(talking);
await changing;
for (const program of programs) program.terminate();
await gateway.stop();

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
const more = (of: keyof Turn): number => median(turns.map((turn) => turn.with[of] - turn.without[of]));
const base = (of: keyof Turn): number => median(turns.map(({ without }) => without[of]));
console.log(
  `${SESSIONS} sessions, ${talkers.length} programs talk, ${CHANGES} changes a second, ${TURNS} turns of ${SECONDS} s`,
);
for (const of of ['gateway', 'host'] as const)
  console.log(`  ${of}: ${percent(base(of))} of a core without a reader, ${percent(more(of))} more with one`);
console.log(`  ${median(turns.map(({ levels }) => levels)).toFixed(1)} events of levels a second`);
if (more('gateway') + more('host') > ALLOWED) {
  console.log(`The events take more than ${percent(ALLOWED)}.`);
  process.exitCode = 1;
}
