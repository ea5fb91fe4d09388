import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PHONE_RATE, sine, toneLevel } from './tones.js';
import { until } from './until.js';
import { readWav, writeWav } from './wav.js';

export interface SoftphoneCall {
  /** What to call, as a user would dial it. */
  readonly uri: string;
  /** Frequency in Hz of the tone that the softphone says. */
  readonly tone: number;
  /** Insist on SRTP with keys in the SDP (RFC 4568), or (baresip) of a DTLS handshake (RFC 5763). */
  readonly srtp?: boolean | 'dtls';
  /** File of the certificates that a TLS server is believed with. */
  readonly caFile?: string;
}

/** How long the tone files last. */
const TONE_S = 30;

/** A tone counts as heard above this level, in dB of full scale. */
const HEARD_DB = -35;

/** How many bytes a softphone records in about 1 s: G.711 at baresip, Opus at linphone. */
const SECOND_BYTES = { baresip: 16_000, linphone: 96_000 };

const MODULES = ['g711', 'aufile', 'aubridge', 'srtp', 'dtls_srtp', 'sndfile'];

/** A real softphone, without a sound card, in one call that it places at once. End it in `finally`. */
export class Softphone {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #enoughBytes: number;
  readonly #recording: () => string | undefined;
  #output = '';

  private constructor(
    child: ChildProcess,
    folder: string,
    enoughBytes: number,
    recording: () => string | undefined,
  ) {
    this.#child = child;
    this.#enoughBytes = enoughBytes;
    this.#folder = folder;
    this.#recording = recording;
    const note = (chunk: Buffer): void =>
      void (this.#output = (this.#output + chunk.toString()).slice(-8000));
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** baresip with G.711. */
  static baresip({ uri, tone, srtp = false, caFile }: SoftphoneCall): Softphone {
    const folder = folderWithTone(tone);
    const config = [
      'sip_listen 127.0.0.1:0',
      'net_interface 127.0.0.1',
      ...(caFile === undefined ? [] : [`sip_cafile ${caFile}`]),
      `audio_source aufile,${join(folder, 'tone.wav')}`,
      'audio_player aubridge,nowhere',
      ...['ausrc', 'auplay'].flatMap((end) => [`${end}_srate ${PHONE_RATE}`, `${end}_channels 1`]),
      'rtp_ports 40000-49998',
      `snd_path ${folder}`,
      'module_path /usr/lib/baresip/modules',
      ...MODULES.map((name) => `module ${name}.so`),
      'module_app account.so',
      'module_app menu.so',
    ];
    writeFileSync(join(folder, 'config'), `${config.join('\n')}\n`);
    const encryption = srtp === 'dtls' ? ';mediaenc=dtls_srtp' : srtp ? ';mediaenc=srtp-mand' : '';
    const account = `<sip:tester@127.0.0.1>;regint=0${encryption}`;
    writeFileSync(join(folder, 'accounts'), `${account}\n`);
    writeFileSync(join(folder, 'contacts'), '');
    const child = spawn('baresip', ['-f', folder, '-e', `/dial ${uri}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Softphone(child, folder, SECOND_BYTES.baresip, () =>
      readdirSync(folder).find((name) => name.endsWith('-dec.wav')),
    );
  }

  /** linphonec with all its codecs. */
  static linphone({ uri, tone, srtp = false, caFile }: SoftphoneCall): Softphone {
    const folder = folderWithTone(tone);
    mkdirSync(join(folder, '.local/share/linphone'), { recursive: true });
    const sip = ['sip_port=-1', 'sip_tcp_port=-1', 'sip_tls_port=-1', 'use_ipv6=0', 'guess_hostname=0'];
    const identity = 'contact="Tester" <sip:tester@127.0.0.1>';
    const encryption = srtp ? ['media_encryption=srtp', 'media_encryption_mandatory=1'] : [];
    const tls = caFile === undefined ? [] : [`root_ca=${caFile}`, 'verify_server_certs=1'];
    const rc = ['[sip]', ...sip, identity, ...encryption, ...tls, '[rtp]', 'audio_rtp_port=-1'];
    writeFileSync(join(folder, 'rc'), [...rc, '[sound]', 'echocancellation=0', ''].join('\n'));
    const child = spawn('linphonec', ['-c', join(folder, 'rc')], {
      env: { ...process.env, HOME: folder },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const recording = 'heard.wav';
    const commands = ['soundcard use files', `record ${join(folder, recording)}`];
    commands.push(`play ${join(folder, 'tone.wav')}`, `call ${uri}`, '');
    child.stdin.write(commands.join('\n'));
    return new Softphone(child, folder, SECOND_BYTES.linphone, () => recording);
  }

  /** Waits until it has recorded for another while. */
  async listen(): Promise<void> {
    const before = this.#recordedBytes();
    await until('softphone records', () => this.#recordedBytes() > before + 2 * this.#enoughBytes, {
      withinMs: 20_000,
      everyMs: 100,
      seen: () => Promise.resolve(this.#output),
    });
  }

  /** Waits until it has recorded for a while, then hangs up as a user would; resolves when it is over. */
  async hangUp(): Promise<void> {
    await until('softphone records', () => this.#recordedBytes() > this.#enoughBytes, {
      withinMs: 20_000,
      everyMs: 100,
      seen: () => Promise.resolve(this.#output),
    });
    const exit = once(this.#child, 'exit');
    if (this.#child.stdin) this.#child.stdin.write('terminate\nquit\n');
    else this.#child.kill('SIGTERM');
    await exit;
  }

  /** Whether it heard a tone, in any half second of the call; to be asked after {@link hangUp}. */
  heard(frequency: number): boolean {
    const file = this.#recording();
    const audio = file === undefined ? undefined : readWav(join(this.#folder, file));
    if (!audio) return false;
    const step = audio.rate / 2;
    const pieces = Math.floor(audio.samples.length / step);
    return Array.from({ length: pieces }, (_, i) =>
      toneLevel(audio.samples.subarray(i * step, (i + 1) * step), frequency, audio.rate),
    ).some((level) => level > HEARD_DB);
  }

  /** The last that it said of itself. */
  get output(): string {
    return this.#output;
  }

  /** Ends the process, whatever it does, and frees everything. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = once(this.#child, 'exit');
      this.#child.kill('SIGKILL');
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #recordedBytes(): number {
    const file = this.#recording();
    const path = file === undefined ? undefined : join(this.#folder, file);
    return path !== undefined && existsSync(path) ? statSync(path).size : 0;
  }
}

function folderWithTone(frequency: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'patchbay-softphone-'));
  const samples = sine(frequency, PHONE_RATE)(TONE_S * PHONE_RATE);
  writeWav(join(folder, 'tone.wav'), { rate: PHONE_RATE, samples });
  return folder;
}
