import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { freeTcpPort } from '../../test/support/ports.js';
import { until } from '../../test/support/until.js';
import type { Contestant, Conversation } from './contestant.js';

const PROGRAM = '/usr/bin/janus';
const ROOM = 1;
/** Plugins and transports of Debian's package that are not needed here. */
const UNUSED = {
  plugins: 'duktape echotest lua nosip recordplay sip streaming textroom videocall videoroom voicemail',
  transports: 'mqtt nanomsg pfunix rabbitmq websockets',
};

/**
 * Janus's AudioBridge with plain RTP participants, in a room at the rate of the codec. It has no subscriptions, so the
 * others are muted to let all hear the same few.
 */
export const janus: Contestant = {
  name: 'Janus AudioBridge',
  codecs: ['PCMU'],
  missing: isInstalled() ? undefined : 'the package janus is not installed',
  carry: async (conversation) => {
    const folder = await mkdtemp(join(tmpdir(), 'janus-'));
    const httpPort = await freeTcpPort();
    await configure(folder, httpPort);
    const child = spawn(PROGRAM, ['--configs-folder', folder, '--disable-colors'], { stdio: 'ignore' });
    const stop = async (): Promise<void> => {
      child.kill();
      await once(child, 'exit');
      await rm(folder, { recursive: true });
    };
    try {
      return { pid: child.pid!, ports: await fillRoom(httpPort, conversation), stop };
    } catch (error) {
      await stop();
      throw error;
    }
  },
};

function isInstalled(): boolean {
  try {
    accessSync(PROGRAM, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function configure(folder: string, httpPort: number): Promise<void> {
  const disabled = (kind: keyof typeof UNUSED): string => {
    const names = UNUSED[kind].split(' ').map((name) => `libjanus_${name}.so`);
    return `${kind}: { disable = "${names.join(',')}" }`;
  };
  const general = `general: { configs_folder = "${folder}"\n debug_level = 2\n session_timeout = 0 }`;
  const files = {
    'janus.jcfg': [general, disabled('plugins'), disabled('transports')],
    'janus.plugin.audiobridge.jcfg': ['general: { local_ip = "127.0.0.1" }'],
    'janus.transport.http.jcfg': [
      `general: { http = true\n ip = "127.0.0.1"\n port = ${httpPort}\n https = false }`,
      'admin: { admin_http = false }',
    ],
  };
  for (const [name, lines] of Object.entries(files)) await writeFile(join(folder, name), lines.join('\n'));
}

async function fillRoom(httpPort: number, { peerPorts, scene }: Conversation): Promise<number[]> {
  const plugin = await Plugin.attach(`http://127.0.0.1:${httpPort}/janus`);
  await plugin.ask({
    ...{ request: 'create', room: ROOM, sampling_rate: 8000, allow_rtp_participants: true },
    audiolevel_ext: false,
  });
  const ports: number[] = [];
  for (const [i, port] of peerPorts.entries()) {
    const member = await plugin.another();
    const rtp = { ip: '127.0.0.1', port };
    const muted = i >= (scene.talkers ?? 0);
    const joined = await member.askAndWait({ request: 'join', room: ROOM, codec: 'pcmu', muted, rtp });
    ports.push(joined.rtp!.port);
  }
  return ports;
}

interface PluginData {
  readonly error?: string;
  readonly rtp?: { readonly port: number };
}

interface Answer {
  readonly janus: string;
  readonly transaction?: string;
  readonly data?: { readonly id: number };
  readonly plugindata?: { readonly data: PluginData };
}

/** A handle of the AudioBridge, by Janus's REST API. */
class Plugin {
  readonly #session: string;
  readonly #handle: number;

  private constructor(session: string, handle: number) {
    this.#session = session;
    this.#handle = handle;
  }

  static async attach(url: string): Promise<Plugin> {
    const session = await until(
      'an answer of Janus',
      () =>
        post(url, { janus: 'create' }).then(
          ({ data }) => data?.id,
          () => undefined,
        ),
      { withinMs: 10_000 },
    );
    return Plugin.#of(`${url}/${session}`);
  }

  static async #of(session: string): Promise<Plugin> {
    const { data } = await post(session, { janus: 'attach', plugin: 'janus.plugin.audiobridge' });
    return new Plugin(session, data!.id);
  }

  another(): Promise<Plugin> {
    return Plugin.#of(this.#session);
  }

  /** A request that is answered at once. */
  async ask(body: object): Promise<PluginData> {
    return good(await post(`${this.#session}/${this.#handle}`, { janus: 'message', body }));
  }

  /** A request that is answered by an event. */
  async askAndWait(body: object): Promise<PluginData> {
    const transaction = `join ${this.#handle}`;
    await post(`${this.#session}/${this.#handle}`, { janus: 'message', transaction, body });
    for (;;) {
      const { body: event } = await request(`${this.#session}?maxev=1`);
      const answer = (await event.json()) as Answer;
      if (answer.transaction === transaction) return good(answer);
    }
  }
}

async function post(url: string, message: object): Promise<Answer> {
  const body = JSON.stringify({ transaction: 'bench', ...message });
  const answer = await request(url, { method: 'POST', body });
  return (await answer.body.json()) as Answer;
}

function good({ plugindata, janus: kind }: Answer): PluginData {
  const data = plugindata?.data;
  if (!data || data.error !== undefined) throw new Error(`Janus: ${data?.error ?? kind}`);
  return data;
}
