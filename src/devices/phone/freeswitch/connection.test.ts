import type { MediaServer } from 'drachtio-fsmrf';
import { pino } from 'pino';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FreeswitchConnection } from './connection.js';

const OURS = 'sip_h_X-Patchbay-Gateway';

/** Channels of a FreeSWITCH, by whose they are. */
let channels: Map<string, string>;
let commands: string[];
let filters: Set<string>;
let emit: (event: { getHeader(name: string): string | null }) => void;
let connection: FreeswitchConnection;
let server: {
  readonly once: () => void;
  readonly api: (command: string) => Promise<string>;
  readonly conn: object;
  pendingConnections: Map<string, { conn?: object; fn: (conn: object) => void }>;
  connectCaller: (invite: { answered(sdp: string): void }) => Promise<{ endpoint: object }>;
};

function reply(command: string): string {
  commands.push(command);
  const [name, uuid = ''] = command.split(' ');
  if (name === 'show') {
    const rows = [...channels.keys()].map((id) => ({ uuid: id }));
    return JSON.stringify({ row_count: rows.length, ...(rows.length > 0 && { rows }) });
  }
  if (name === 'uuid_exists') return String(channels.has(uuid));
  return name === 'uuid_getvar' ? (channels.get(uuid) ?? '_undef_') : '+OK';
}

beforeEach(() => {
  channels = new Map([
    ['kept', 'us'],
    ['left', 'us'],
    ['foreign', 'others'],
  ]);
  commands = [];
  filters = new Set();
  server = {
    once: () => undefined,
    pendingConnections: new Map(),
    connectCaller: () => expect.unreachable(),
    api: (command: string) => Promise.resolve(reply(command)),
    conn: {
      on: (_event: string, listener: typeof emit) => (emit = listener),
      subscribe: () => undefined,
      filter: (header: string, value: string) => filters.add(`${header} ${value}`),
      filterDelete: (header: string, value: string) => filters.delete(`${header} ${value}`),
    },
  };
  connection = new FreeswitchConnection(server as unknown as MediaServer, {
    srf: () => expect.unreachable(),
    host: '127.0.0.1',
    port: 8021,
    secret: 'x',
    gatewayId: 'us',
    log: pino({ level: 'silent' }),
  });
});

it('makes a leg with encrypted media also when FreeSWITCH connects back before its 200 has come', async () => {
  const [early, late] = [{}, {}];
  const made: object[] = [];
  const endpoint = {
    uuid: 'leg',
    local: { sdp: '', mediaIp: '127.0.0.1' },
    dialog: { on: () => undefined },
    on: () => undefined,
    once: () => undefined,
  };
  server.connectCaller = (invite) =>
    new Promise((resolve) => {
      // drachtio-fsmrf does nothing more than this with a connection that is early.
      const fn = (conn: object): void => {
        made.push(conn);
        resolve({ endpoint });
      };
      server.pendingConnections.set('another that waits', { fn: () => made.push(late) });
      server.pendingConnections.set('this one', { conn: early, fn });
      invite.answered('answer');
    });
  const { answer, leg } = connection.phoneLeg('offer');
  expect(await answer).toBe('answer');
  expect((await leg).uuid).toBe('leg');
  expect(made).toEqual([early]);
  expect([...server.pendingConnections.keys()]).toEqual(['another that waits']);
});

describe('channels of the gateway before', () => {
  it('are hung up all at once when none is gone on with', async () => {
    await connection.hangUpLeftovers(new Set());
    expect(commands).toEqual([`hupall NORMAL_CLEARING ${OURS} us`]);
  });

  it('are hung up but for those that are gone on with, and those of other gateways', async () => {
    await connection.hangUpLeftovers(new Set(['kept']));
    expect(commands.filter((command) => command.startsWith('uuid_kill'))).toEqual(['uuid_kill left']);
    channels.clear();
    await connection.hangUpLeftovers(new Set(['kept']));
  });
});

describe('the end of a channel that is watched', () => {
  const hangUp = (uuid: string): void =>
    emit({ getHeader: (name) => (name === 'Unique-ID' ? uuid : 'MEDIA_TIMEOUT') });

  it('is told once, with its cause, and nothing else comes', async () => {
    const told = vi.fn();
    connection.watch('kept', told);
    await vi.waitFor(() => expect(commands).toEqual(['uuid_exists kept']));
    expect(filters).toEqual(new Set(['Event-Name HEARTBEAT', 'Unique-ID kept']));
    hangUp('foreign');
    expect(told).not.toHaveBeenCalled();
    hangUp('kept');
    hangUp('kept');
    expect(told.mock.calls).toEqual([['MEDIA_TIMEOUT']]);
    expect(filters).toEqual(new Set(['Event-Name HEARTBEAT']));
  });

  it('is told without a cause when it is gone already', async () => {
    const told = vi.fn();
    connection.watch('gone', told);
    await vi.waitFor(() => expect(told.mock.calls).toEqual([[undefined]]));
  });
});
