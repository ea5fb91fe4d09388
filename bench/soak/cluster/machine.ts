import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leftHosts, type LogLine, startGateway, type TestGateway } from '../../../test/support/gateway.js';
import type { GatewayNetwork } from '../../../test/support/gateway-network.js';
import { type Metrics, readMetrics } from '../../../test/support/metrics.js';
import { Rest } from '../../../test/support/rest.js';

/** Each gateway has addresses of its own. */
const PORTS = { http: 8080, sip: 5060, webrtc: 7000 };
const START_MS = 180_000;
const TEND_MS = 100;
const LOOK_MS = 200;
/** As a supervisor does. */
const AGAIN_MS = 500;

interface MachineOptions {
  readonly network: GatewayNetwork;
  /** Of the network's places. */
  readonly at: number;
  readonly env: Readonly<Record<string, string>>;
}

/** A machine with a gateway, whose supervisor starts it again when it ends by itself. */
export class Machine {
  readonly at: number;
  readonly name: string;
  readonly host: string;
  readonly sip: { readonly host: string; readonly port: number };
  readonly httpUrl: string;
  readonly rest: Rest;
  /** What its gateways have logged. */
  readonly log: LogLine[] = [];
  readonly #network: GatewayNetwork;
  readonly #env: Readonly<Record<string, string>>;
  readonly #dataDir = mkdtempSync(join(tmpdir(), 'patchbay-cluster-'));
  #running: TestGateway | undefined;
  /** The start that is under way. */
  #starting: Promise<void> | undefined;
  #isWanted = false;
  readonly #tending: NodeJS.Timeout;
  readonly #watching: NodeJS.Timeout;
  #awaySince: number | undefined;
  #longestAwayMs = 0;
  /** How often the gateway ended by itself. */
  ends = 0;

  constructor({ network, at, env }: MachineOptions) {
    const place = network.places[at]!;
    this.#network = network;
    this.at = at;
    this.name = `gateway ${at + 1}`;
    this.host = place.outsideHost;
    this.sip = { host: place.outsideHost, port: PORTS.sip };
    this.httpUrl = `http://${place.outsideHost}:${PORTS.http}`;
    this.rest = new Rest(this);
    this.#env = {
      ...place.env,
      ...env,
      PATCHBAY_HTTP_PORT: String(PORTS.http),
      PATCHBAY_SIP_PORT: String(PORTS.sip),
      PATCHBAY_WEBRTC_PORT: String(PORTS.webrtc),
    };
    this.#tending = setInterval(() => this.#tend(), TEND_MS);
    this.#watching = setInterval(() => void this.#watch(), LOOK_MS);
  }

  get wsUrl(): string {
    return this.httpUrl.replace('http', 'ws');
  }

  /** Whether its gateway is up, and in touch with a leader. */
  async isReady(): Promise<boolean> {
    if (!this.#running || !this.#isAlive()) return false;
    const answer = await fetch(`${this.httpUrl}/readyz`).catch(() => undefined);
    return answer?.status === 200;
  }

  /** The longest time for which it was not ready, since {@link forgetAbsence}. */
  get longestAwayMs(): number {
    const presentMs = this.#awaySince === undefined ? 0 : performance.now() - this.#awaySince;
    return Math.max(this.#longestAwayMs, presentMs);
  }

  forgetAbsence(): void {
    this.#longestAwayMs = 0;
  }

  /** How the leader's row in the database names it. */
  get holderId(): string {
    return readFileSync(join(this.#dataDir, 'gateway-id'), 'utf8').trim();
  }

  metrics(): Promise<Metrics> {
    return readMetrics(this);
  }

  /** Starts the gateway; from now on it is started again whenever it ends. Resolves when it is ready. */
  async start(): Promise<void> {
    this.#isWanted = true;
    while (!this.#isAlive()) await (this.#starting ??= this.#tryStart());
  }

  /** Kills the gateway, with its media hosts if the whole machine dies. It stays dead until {@link start}. */
  async kill(withHosts: boolean): Promise<void> {
    this.#isWanted = false;
    const ended = this.#running?.kill();
    if (withHosts) this.#killHosts();
    await ended;
    // One that was just being started.
    if (withHosts) this.#killHosts();
    this.#keepLog();
  }

  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  cut(): void {
    this.#network.cut(this.at);
  }

  join(): void {
    this.#network.join(this.at);
  }

  /** Stops it in order. @returns what is left of it that should not be */
  async stop(): Promise<string[]> {
    this.#isWanted = false;
    clearInterval(this.#tending);
    clearInterval(this.#watching);
    this.join();
    this.resume();
    await this.#starting;
    const wasAlive = this.#isAlive();
    const code = await this.#running?.stop();
    this.#keepLog();
    const left = leftHosts(this.#dataDir);
    this.#killHosts();
    rmSync(this.#dataDir, { recursive: true, force: true });
    return [
      ...(wasAlive && code !== 0 ? [`${this.name} ended with ${String(code)}, not 0`] : []),
      ...(left.length > 0 ? [`${this.name} left media hosts: ${left.join(', ')}`] : []),
    ];
  }

  #tend(): void {
    if (!this.#isWanted || this.#starting || this.#isAlive()) return;
    this.ends += 1;
    this.#keepLog();
    this.#starting = this.#tryStart();
  }

  async #watch(): Promise<void> {
    // A gateway that is paused answers nothing.
    const isReady = await Promise.race([
      this.isReady(),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 2 * LOOK_MS)),
    ]);
    if (!isReady) this.#awaySince ??= performance.now();
    else {
      this.#longestAwayMs = this.longestAwayMs;
      this.#awaySince = undefined;
    }
  }

  /** It may fail, while the database is away or cannot be reached. */
  async #tryStart(): Promise<void> {
    try {
      this.#running = await startGateway({
        dataDir: this.#dataDir,
        env: this.#env,
        runBy: this.#network.places[this.at]!.runBy,
        readyWithinMs: START_MS,
      });
    } catch (error) {
      this.log.push({ msg: `It did not start: ${String(error)}` });
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    } finally {
      this.#starting = undefined;
    }
  }

  #isAlive(): boolean {
    if (!this.#running) return false;
    try {
      process.kill(this.#running.pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#isAlive()) process.kill(this.#running!.pid, signal);
  }

  #killHosts(): void {
    for (const pid of leftHosts(this.#dataDir)) process.kill(pid, 'SIGKILL');
  }

  #keepLog(): void {
    if (this.#running) this.log.push(...this.#running.log);
    this.#running = undefined;
  }
}
