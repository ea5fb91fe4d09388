import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect } from 'vitest';
import { gateOf } from '../../../cluster/testing/index.js';
import type { Core, DeviceGate } from '../../../core/index.js';
import { ACCOUNT, coreForTests } from '../../../core/testing/index.js';
import { FakeMediaPlane } from '../../../media/testing/fake-plane.js';
import { type FakeClock, silentLog } from '../../../shared/testing/index.js';
import { Upgrades } from '../../upgrades.js';
import { ProgramServer } from '../program-server.js';
import { Programs, type ProgramsOptions } from '../programs.js';
import { TestProgram } from './test-program.js';

export const GRACE_MS = 10_000;

/** A program server over a real core and real sockets, with fake media and a clock that the test turns. */
class ServerFixture {
  readonly core: Core;
  readonly clock: FakeClock;
  readonly media = new FakeMediaPlane();
  readonly #options: Partial<ProgramsOptions>;
  readonly #server = createServer();
  readonly #upgrades = new Upgrades(this.#server);
  readonly #opened: TestProgram[] = [];
  readonly #gate: DeviceGate;
  #programs: Programs;
  #programServer: ProgramServer;

  private constructor(options: Partial<ProgramsOptions>, core: Parameters<typeof coreForTests>[0]) {
    ({ core: this.core, clock: this.clock } = coreForTests(core));
    this.#gate = gateOf(this.core, this.clock);
    this.#options = options;
    [this.#programs, this.#programServer] = this.#create();
  }

  get server(): ProgramServer {
    return this.#programServer;
  }

  get programs(): Programs {
    return this.#programs;
  }

  static async start(
    options: Partial<ProgramsOptions> = {},
    core: Parameters<typeof coreForTests>[0] = {},
  ): Promise<ServerFixture> {
    const fixture = new ServerFixture(options, core);
    await once(fixture.#server.listen(0, '127.0.0.1'), 'listening');
    return fixture;
  }

  /** A participant that may publish audio, in a session if one is given and subscribed to everyone there. */
  participant(sessionId?: string): { readonly id: string; readonly token: string } {
    const { participant, token } = this.core.createParticipant(ACCOUNT, { publishPermissions: ['audio'] });
    if (sessionId !== undefined) this.core.addToSession(ACCOUNT, sessionId, participant.id, { sessionId });
    return { id: participant.id, token };
  }

  session(): string {
    return this.core.createSession(ACCOUNT, {}).id;
  }

  url(query: Readonly<Record<string, string>>, path = '/program/'): string {
    const { port } = this.#server.address() as AddressInfo;
    return `ws://127.0.0.1:${String(port)}${path}?${new URLSearchParams(query).toString()}`;
  }

  /** A program that has got its first message. */
  async open(token: string, query: Readonly<Record<string, string>> = {}): Promise<TestProgram> {
    const program = new TestProgram(this.url({ token, ...query }));
    this.#opened.push(program);
    await program.message('start');
    return program;
  }

  /** The status with which a socket is refused, and the text beside it. */
  async refusal(url: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    return new TestProgram(url, headers).refusal;
  }

  /** Messages of the gateway that are not as the published schema has them. */
  get violations(): readonly object[] {
    return this.#opened.flatMap(({ violations }) => violations);
  }

  /** The id of a participant's device. */
  deviceOf(participantId: string): string {
    return this.core.device(ACCOUNT, participantId)!.info.id;
  }

  /** Another server in place of this one, with what the core has kept. */
  async restart(): Promise<void> {
    await this.#programServer.stop();
    [this.#programs, this.#programServer] = this.#create();
  }

  async stop(): Promise<void> {
    for (const program of this.#opened) program.cut();
    await this.#programServer.stop();
    await this.core.stop();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #create(): [Programs, ProgramServer] {
    const programs = new Programs({
      gate: this.#gate,
      media: this.media,
      graceMs: GRACE_MS,
      clock: this.clock,
      log: silentLog,
      ...this.#options,
    });
    return [programs, new ProgramServer({ upgrades: this.#upgrades, programs })];
  }
}

/** Call it at the top of a file: starts servers, and checks all that they said when they are stopped after the test. */
export function useProgramServer(): typeof ServerFixture.start {
  let fixture: ServerFixture | undefined;
  afterEach(async () => {
    await fixture?.stop();
    expect(fixture?.violations ?? []).toEqual([]);
  });
  return async (...options) => (fixture = await ServerFixture.start(...options));
}
