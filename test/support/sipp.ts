import { spawn, type ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { audioAddressOf, parseTraced, type TracedMessage } from './sip-message.js';
import { Scenario, type InviteOptions } from './sipp-scenario.js';
import { type RtpAddress, ToneSocket } from './tone-socket.js';
import { freeUdpPort } from './ports.js';
import { until } from './until.js';

export { Scenario } from './sipp-scenario.js';
interface SippOptions {
  /** The gateway's SIP port on {@link host}. */
  readonly sipPort: number;
  /** Where phone and gateway are; default 127.0.0.1. */
  readonly host?: string;
  /** Where the gateway is, when it is not on {@link host}. */
  readonly callee?: string;
  readonly transport?: 'udp' | 'tcp';
  /** How long the call may take, in seconds; default 60. */
  readonly limitS?: number;
}

/** Adds steps to a scenario; the RTP port is that of the phone's tone socket. */
export type Steps = (scenario: Scenario, rtpPort: number) => Scenario;

export interface CallOptions extends SippOptions {
  /** Goes into `User-to-User: <token>;encoding=jwt`. */
  readonly token?: string;
  /** Frequency in Hz of the phone's tone; default 440. */
  readonly tone?: number;
  /** Header lines, Request-URI and so on; `sdp` replaces the usual offer. */
  readonly invite?: Omit<InviteOptions, 'sdp'> & { readonly sdp?: (rtpPort: number) => string | undefined };
  /**
   * What happens after the INVITE is sent. Default: 200, ACK, wait for {@link SippCall.hangUp}, BYE. Otherwise the whole
   * rest of the call, including expected responses.
   */
  readonly then?: Steps;
}

const LOCALHOST = '127.0.0.1';
const ANSWER_LIMIT_MS = 20_000;
const CALL_LIMIT_S = 60;

/** The offer of a plain phone: PCMU, PCMA, telephone-event. */
export function phoneOffer(
  rtpPort: number,
  options: { direction?: string; version?: number; host?: string; ptime?: number; lines?: string[] } = {},
): string {
  const { direction = 'sendrecv', version = 1, host = LOCALHOST, ptime = 20, lines = [] } = options;
  const address = `IN ${isIPv6(host) ? 'IP6' : 'IP4'} ${host}`;
  return [
    'v=0',
    `o=phone 1 ${version} ${address}`,
    's=-',
    `c=${address}`,
    't=0 0',
    `m=audio ${rtpPort} RTP/AVP 0 8 101`,
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-15',
    `a=ptime:${ptime}`,
    `a=${direction}`,
    ...lines,
    '',
  ].join('\r\n');
}

/**
 * Places a call with SIPp and resolves when its final answer is there. The phone's RTP goes to and comes from a tone
 * socket of the test, which starts to send its tone when the call is answered.
 * @throws LimitPassed when there is no final answer within 10 s
 */
export async function placeCall(options: CallOptions): Promise<SippCall> {
  const call = await beginCall(options);
  try {
    await call.final();
  } catch (error) {
    await call.end();
    throw error;
  }
  return call;
}

/** Sends the INVITE of a call, and resolves without waiting for an answer. */
export async function beginCall(options: CallOptions): Promise<SippCall> {
  const { host = LOCALHOST, tone = 440 } = options;
  const tones = await ToneSocket.open({ frequency: tone, host });
  const { sdp = phoneOffer, headers = [], ...invite } = options.invite ?? {};
  const userToUser = options.token === undefined ? [] : [`User-to-User: ${options.token};encoding=jwt`];
  const scenario = new Scenario().invite({
    ...invite,
    headers: [...userToUser, ...headers],
    sdp: sdp(tones.port),
  });
  const rest = options.then ?? ((steps) => steps.expect(200).ack().waitForCue().bye());
  return SippCall.start(rest(scenario, tones.port), options, tones);
}

/** A phone that waits for a call of the gateway, at `sip:phone@127.0.0.1:<port>`. */
export async function awaitCall(options: SippOptions & { tone: number; then: Steps }): Promise<SippCall> {
  const tones = await ToneSocket.open({ frequency: options.tone });
  return SippCall.start(options.then(new Scenario(), tones.port), options, tones);
}

/** Places a call that is expected to be refused. @returns the refusal */
export async function placeRefusedCall(options: Omit<CallOptions, 'then'>): Promise<TracedMessage> {
  const call = await placeCall({ ...options, then: (scenario) => scenario.expectAny(REFUSALS) });
  const final = await call.final();
  await call.ended();
  await call.end();
  return final;
}

const REFUSALS = [400, 403, 404, 415, 420, 421, 422, 480, 481, 486, 487, 488, 491, 500, 503, 603];

/** One SIPp process with one call. End it in `finally` or `afterEach`. */
export class SippCall {
  readonly tones: ToneSocket;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #host: string;
  /** Its SIP port. */
  readonly port: number;

  private constructor(child: ChildProcess, folder: string, at: RtpAddress, tones: ToneSocket) {
    this.#child = child;
    this.#folder = folder;
    this.#host = at.host;
    this.port = at.port;
    this.tones = tones;
  }

  /** Runs a scenario. */
  static async start(scenario: Scenario, options: SippOptions, tones: ToneSocket): Promise<SippCall> {
    const folder = mkdtempSync(join(tmpdir(), 'patchbay-sipp-'));
    const host = options.host ?? LOCALHOST;
    const callee = options.callee ?? host;
    const port = await freeUdpPort(host);
    writeFileSync(join(folder, 'scenario.xml'), scenario.toXml());
    const child = spawn(
      'sipp',
      [
        ...[
          '-sf',
          'scenario.xml',
          '-m',
          '1',
          '-nostdin',
          '-timeout',
          `${options.limitS ?? CALL_LIMIT_S}s`,
          '-timeout_error',
        ],
        ...['-i', host, '-p', String(port), '-t', options.transport === 'tcp' ? 't1' : 'u1'],
        ...['-trace_msg', '-message_file', 'messages.log', '-trace_err', '-error_file', 'errors.log'],
        // Requests that a scenario does not mention do not end it.
        ...['-default_behaviors', 'all,-abortunexp'],
        isIPv6(callee) ? `[${callee}]:${options.sipPort}` : `${callee}:${options.sipPort}`,
      ],
      { cwd: folder, stdio: 'ignore' },
    );
    await once(child, 'spawn');
    return new SippCall(child, folder, { host, port }, tones);
  }

  /** The messages of the call so far. */
  get messages(): TracedMessage[] {
    return readTrace(join(this.#folder, 'messages.log'));
  }

  /** The final answer to the INVITE; when it is 200 with SDP, the tone goes there. */
  async final(): Promise<TracedMessage> {
    const isFinal = ({ status, header }: TracedMessage): boolean =>
      status !== undefined && status >= 200 && (header('CSeq') ?? '').endsWith('INVITE');
    const final = await this.waitFor('final answer', isFinal, ANSWER_LIMIT_MS);
    if (final.status === 200 && final.body !== '') this.tones.start(audioAddressOf(final.body));
    return final;
  }

  /** Waits for a message from the gateway; it may have come already. */
  async waitFor(
    what: string,
    matches: (message: TracedMessage) => boolean,
    withinMs = 20_000,
  ): Promise<TracedMessage> {
    return until(
      what,
      () => {
        const found = this.messages.find((message) => message.direction === 'received' && matches(message));
        if (!found && this.#over) throw new Error(`${what}: SIPp is over\n${this.#trouble()}`);
        return found;
      },
      { withinMs, everyMs: 10, seen: () => Promise.resolve(this.#trouble()) },
    );
  }

  /** The 200s to the call's requests of a method, in order, each once. */
  answersTo(method: string): TracedMessage[] {
    const answers = this.messages.filter(
      ({ direction, status, header }) =>
        direction === 'received' && status === 200 && header('CSeq')!.endsWith(` ${method}`),
    );
    return answers.filter((answer, i) => i === 0 || answer.header('CSeq') !== answers[i - 1]!.header('CSeq'));
  }

  /** Waits for a method's answer number `count`. @returns that answer */
  async answerTo(method: string, count: number): Promise<TracedMessage> {
    return until(`answer ${count} to ${method}`, () => this.answersTo(method)[count - 1], {
      withinMs: 20_000,
      everyMs: 10,
      seen: () => Promise.resolve(this.#trouble()),
    });
  }

  /** Lets the phone go on to its next step. */
  async cue(): Promise<void> {
    const invite = this.messages.find(({ method }) => method === 'INVITE')!;
    const lines = [
      `CUE sip:phone@test SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK${String(Date.now())}`,
      `From: ${invite.header('From')!}`,
      `To: ${invite.header('To')!}`,
      `Call-ID: ${invite.header('Call-ID')!}`,
      'CSeq: 1 CUE',
      'Content-Length: 0',
    ];
    const socket = createSocket(isIPv6(this.#host) ? 'udp6' : 'udp4');
    const text = `${lines.join('\r\n')}\r\n\r\n`;
    await new Promise((resolve) => socket.send(text, this.port, this.#host, resolve));
    socket.close();
  }

  /** The phone hangs up; resolves when SIPp has ended and saw all that it expected. */
  async hangUp(): Promise<void> {
    await this.cue();
    await this.ended();
  }

  /** Waits for the gateway's BYE and for SIPp's end. @returns the BYE */
  async hungUp(withinMs = 20_000): Promise<TracedMessage> {
    const bye = await this.waitFor('BYE', ({ method }) => method === 'BYE', withinMs);
    await this.ended();
    return bye;
  }

  /** Waits for SIPp's end. @throws when the call did not follow its scenario */
  async ended(withinMs = 20_000): Promise<void> {
    await until('SIPp’s end', () => this.#over, { withinMs, everyMs: 10 });
    if (this.#child.exitCode !== 0) throw new Error(`SIPp failed:\n${this.#trouble()}`);
  }

  /** Ends the process, whatever it does, and frees everything. */
  async end(): Promise<void> {
    if (!this.#over) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exit;
    }
    this.tones.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #over(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #trouble(): string {
    const errors = join(this.#folder, 'errors.log');
    const seen = this.messages.map(({ direction, startLine }) => `${direction}: ${startLine}`);
    return [...seen, existsSync(errors) ? readFileSync(errors, 'utf8') : ''].join('\n');
  }
}

function readTrace(file: string): TracedMessage[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split(/^-{20,}.*$/m)
    .flatMap((entry) => {
      const [, direction, text] = /^\s*\S+ message (sent|received) .*?\n\r?\n([\s\S]*)$/.exec(entry) ?? [];
      return text === undefined ? [] : [parseTraced(direction as TracedMessage['direction'], text)];
    });
}
