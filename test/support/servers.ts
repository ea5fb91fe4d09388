import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import esl from 'drachtio-modesl';
import { freePort, freeTcpPort } from './ports.js';
import { until } from './until.js';

/** The program `freeswitch`, for tests that start and kill their own; absent: such tests are skipped. */
export const FREESWITCH_PROGRAM = process.env['PATCHBAY_TEST_FREESWITCH_PROGRAM'];
/** The program `drachtio`, likewise. */
export const DRACHTIO_PROGRAM = process.env['PATCHBAY_TEST_DRACHTIO_PROGRAM'];

const START_LIMIT_MS = 60_000;
const SECRET = 'of-the-tests';

/** A process of drachtio-server or FreeSWITCH, with the configuration in `sip-config/`. */
class ServerProcess {
  readonly #folder = mkdtempSync(join(tmpdir(), 'patchbay-server-'));
  readonly #start: (folder: string) => ChildProcess;
  readonly #port: number;
  #child: ChildProcess | undefined;

  constructor(port: number, start: (folder: string) => ChildProcess) {
    this.#port = port;
    this.#start = start;
  }

  /** Starts it, also again; resolves when it takes commands. */
  async start(): Promise<void> {
    this.#child = this.#start(this.#folder);
    await until('the server', () => accepts(this.#port), { withinMs: START_LIMIT_MS });
  }

  /** Stops the process, with its connections open, until {@link thaw}. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Ends it as a crash would. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Ends it as its operator would. */
  terminate(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
}

/** A FreeSWITCH that the test starts and stops. */
export class TestFreeswitch {
  readonly #process: ServerProcess;
  readonly #port: number;
  readonly #firstRtpPort: number;

  private constructor(process: ServerProcess, port: number, firstRtpPort: number) {
    this.#process = process;
    this.#port = port;
    this.#firstRtpPort = firstRtpPort;
  }

  /**
   * @param index 0 to 3, different for each one that runs at a time
   * @param env further environment variables
   * @param configuration its folder
   */
  static async start(
    index: number,
    env: Record<string, string> = {},
    configuration = 'sip-config/freeswitch',
  ): Promise<TestFreeswitch> {
    const [eventPort, sipPort] = [await freeTcpPort(), await freePort()];
    // Above the ports that the kernel gives to other sockets.
    const firstRtpPort = 61_000 + index * 1000;
    const process = new ServerProcess(eventPort, (folder) =>
      spawn(FREESWITCH_PROGRAM!, freeswitchArguments(folder, configuration), {
        stdio: 'ignore',
        env: {
          ...globalThis.process.env,
          FREESWITCH_EVENT_PORT: String(eventPort),
          FREESWITCH_SIP_PORT: String(sipPort),
          FREESWITCH_SECRET: SECRET,
          FREESWITCH_RTP_FIRST: String(firstRtpPort),
          FREESWITCH_RTP_LAST: String(firstRtpPort + 999),
          ...env,
        },
      }),
    );
    await process.start();
    return new TestFreeswitch(process, eventPort, firstRtpPort);
  }

  /** For PATCHBAY_FREESWITCH. */
  get address(): string {
    return `127.0.0.1:${this.#port}:${SECRET}`;
  }

  /** Process id; undefined while it is not running. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Whether RTP to this port of 127.0.0.1 reaches it. */
  owns(rtpPort: number): boolean {
    return rtpPort >= this.#firstRtpPort && rtpPort <= this.#firstRtpPort + 999;
  }

  /** Runs one command of its `api`. */
  async api(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const connection = new esl.Connection('127.0.0.1', this.#port, SECRET, () => {
        connection.api(command, (reply) => {
          connection.disconnect();
          resolve(reply.getBody().trim());
        });
      });
      connection.on('error', reject);
    });
  }

  async channels(): Promise<number> {
    return Number.parseInt(await this.api('show channels count'), 10);
  }

  /** Lets it hang: it neither answers nor closes anything, until {@link thaw}. */
  freeze(): void {
    this.#process.freeze();
  }

  thaw(): void {
    this.#process.thaw();
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  /** Stops it in order; resolves when it has exited. */
  terminate(): Promise<void> {
    return this.#process.terminate();
  }

  restart(): Promise<void> {
    return this.#process.start();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}

/** A drachtio-server that the test starts and stops. */
export class TestDrachtio {
  readonly #process: ServerProcess;
  readonly adminPort: number;
  readonly sipPort: number;

  private constructor(process: ServerProcess, adminPort: number, sipPort: number) {
    this.#process = process;
    this.adminPort = adminPort;
    this.sipPort = sipPort;
  }

  static async start(): Promise<TestDrachtio> {
    const [adminPort, sipPort] = [await freeTcpPort(), await freePort()];
    const contact = `sip:127.0.0.1:${sipPort};transport=udp,tcp`;
    const process = new ServerProcess(adminPort, (folder) =>
      spawn(DRACHTIO_PROGRAM!, ['-f', resolve('sip-config/drachtio/drachtio.conf.xml'), '-c', contact], {
        cwd: folder,
        stdio: 'ignore',
        env: {
          ...globalThis.process.env,
          DRACHTIO_SECRET: SECRET,
          DRACHTIO_ADMIN_TCP_PORT: String(adminPort),
        },
      }),
    );
    await process.start();
    return new TestDrachtio(process, adminPort, sipPort);
  }

  /** For PATCHBAY_DRACHTIO. */
  get address(): string {
    return this.addressBy(this.adminPort);
  }

  /** The same through a relay. */
  addressBy(relayPort: number): string {
    return `127.0.0.1:${relayPort}:${SECRET}`;
  }

  kill(): Promise<void> {
    return this.#process.kill();
  }

  restart(): Promise<void> {
    return this.#process.start();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}

function freeswitchArguments(folder: string, configuration: string): string[] {
  const conf = resolve(configuration);
  return ['-np', '-nonat', '-nf', '-nc', '-conf', conf, '-log', folder, '-db', folder, '-run', folder];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
