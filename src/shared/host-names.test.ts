import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostNames } from './host-names.js';
import { NameServer } from './testing/name-server.js';

let folder: string;
let server: NameServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'patchbay-names-'));
  server = await NameServer.start();
});

afterEach(() => {
  server.stop();
  rmSync(folder, { recursive: true });
});

function namesWith({ hosts = '', resolver = '' } = {}): HostNames {
  const [hostsFile, resolverFile] = [join(folder, 'hosts'), join(folder, 'resolv.conf')];
  writeFileSync(hostsFile, hosts);
  writeFileSync(resolverFile, resolver);
  return new HostNames({ hostsFile, resolverFile, servers: [server.address] });
}

const v4 = (...addresses: string[]) => addresses.map((address) => ({ address, family: 4 }));

describe('host names', () => {
  it('are found at the name server, with all their addresses', async () => {
    server.knows('app.example', ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    const found = await namesWith().find('App.Example');
    expect(found.map(({ address }) => address).sort()).toEqual(['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    expect(found.find(({ address }) => address === '2001:db8::1')?.family).toBe(6);
  });

  it('that do not exist are reported as such', async () => {
    await expect(namesWith().find('nobody.example')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('in the hosts file have the addresses in it, whatever the name server says', async () => {
    server.knows('app.example', ['192.0.2.1']);
    const names = namesWith({ hosts: '# a comment\n10.0.0.7\tapp.example app # another\nfd00::7 app\n' });
    expect(await names.find('APP.example')).toEqual(v4('10.0.0.7'));
    expect(await names.find('app')).toEqual([...v4('10.0.0.7'), { address: 'fd00::7', family: 6 }]);
    expect(server.asked).toEqual([]);
  });

  it('below localhost are loopback addresses', async () => {
    const addresses = await namesWith().find('a.localhost');
    expect(addresses.map(({ address }) => address)).toEqual(['127.0.0.1', '::1']);
  });

  it('are tried in the domains of resolv.conf, in its order', async () => {
    server.knows('app.one.example', ['192.0.2.1']);
    server.knows('b.app.two.example', ['192.0.2.2']);
    const names = namesWith({ resolver: 'search one.example two.example.\noptions ndots:2 rotate\n' });
    expect(await names.find('app')).toEqual(v4('192.0.2.1'));
    expect(await names.find('b.app')).toEqual(v4('192.0.2.2'));
    expect([...new Set(server.asked)]).toEqual(['app.one.example', 'b.app.one.example', 'b.app.two.example']);
    await expect(names.find('app.')).rejects.toMatchObject({ code: 'ENOTFOUND' });
  });

  it('whose name server never answers do not delay others', async () => {
    server.knows('app.example', ['192.0.2.1']);
    const names = namesWith();
    const hanging = Array.from({ length: 100 }, (_, i) => names.find(`${i}.hanging.example`));
    const failed = Promise.allSettled(hanging);
    expect(await names.find('app.example')).toEqual(v4('192.0.2.1'));
    expect(names.underWay).toBe(100);
    const codes = (await failed).map((result) =>
      result.status === 'rejected' ? (result.reason as NodeJS.ErrnoException).code : 'found',
    );
    expect(new Set(codes)).toEqual(new Set(['ETIMEOUT']));
    expect(names.underWay).toBe(0);
  }, 30_000);

  it('are queried once for many callers at a time', async () => {
    server.knows('app.example', ['192.0.2.1']);
    const names = namesWith();
    await Promise.all(Array.from({ length: 50 }, () => names.find('app.example')));
    // One query for each kind of address.
    expect(server.asked).toHaveLength(2);
  });

  it('fail when no name server can be reached', async () => {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    socket.close();
    const names = new HostNames({ hostsFile: join(folder, 'none'), servers: [`127.0.0.1:${port}`] });
    await expect(names.find('app.example')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
