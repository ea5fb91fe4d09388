import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TargetGuard } from '../usage/index.js';
import { Downloads } from './download.js';
import { SoundError } from './decoder/index.js';

let folder: string;
let server: Server;
let answer: RequestListener;
let downloads: Downloads;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'download-'));
  server = createServer((request, response) => {
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  downloads = new Downloads(new TargetGuard({}), { maxBytes: 1_048_576, timeoutMs: 60_000, stallMs: 60_000 });
});
afterEach(async () => {
  await downloads.stop();
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

const target = (): string => join(folder, 'file');
const url = (path = '/a.wav'): URL =>
  new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);

describe('a download', () => {
  it('writes the file, and says for how long it may be used', async () => {
    answer = (_request, response) => response.setHeader('etag', '"1"').end('sound');
    expect(await downloads.fetch(url(), target())).toMatchObject({
      isUnchanged: false,
      etag: '"1"',
      freshMs: 300_000,
    });
    expect(readFileSync(target(), 'utf8')).toBe('sound');
    for (const [control, freshMs] of [
      ['max-age=60', 60_000],
      ['public, max-age=999999999', 86_400_000],
      ['no-store', 1_000],
      ['max-age=0', 1_000],
    ] as const) {
      rmSync(target());
      answer = (_request, response) => response.setHeader('cache-control', control).end('sound');
      expect(await downloads.fetch(url(), target())).toMatchObject({ freshMs });
    }
  });

  it('asks whether the file has changed', async () => {
    answer = (request, response) => {
      response.statusCode = request.headers['if-none-match'] === '"1"' ? 304 : 500;
      response.end();
    };
    expect(await downloads.fetch(url(), target(), { etag: '"1"' })).toMatchObject({
      isUnchanged: true,
      etag: '"1"',
    });
    expect(existsSync(target())).toBe(false);
    answer = (_request, response) => response.writeHead(304).end();
    await expect(downloads.fetch(url(), target())).rejects.toThrow('answered 304');
  });

  it('sends the credentials of the URL in a header', async () => {
    answer = (request, response) =>
      response.end(`${request.url ?? ''} ${request.headers.authorization ?? ''}`);
    const secret = url('/a?b=c');
    secret.username = 'me';
    secret.password = 'p w';
    await downloads.fetch(secret, target());
    expect(readFileSync(target(), 'utf8')).toBe(`/a?b=c Basic ${Buffer.from('me:p w').toString('base64')}`);
  });

  it.each([
    ['404', 'The server answered 404.'],
    ['302', 'The server answered 302; redirects are not followed.'],
    ['206', 'The server answered 206.'],
  ])('fails with %s', async (status, words) => {
    answer = (_request, response) => response.writeHead(Number(status), { location: '/other' }).end('x');
    await expect(downloads.fetch(url(), target())).rejects.toThrow(new SoundError(words));
  });

  it('fails when the file is too large, or never ends', async () => {
    answer = (_request, response) => response.setHeader('content-length', 2_000_000).write('x');
    await expect(downloads.fetch(url(), target())).rejects.toThrow('larger than 1 MB');
    answer = (_request, response) => {
      const piece = Buffer.alloc(65_536);
      const more = (): void => void response.write(piece, more);
      more();
    };
    await expect(downloads.fetch(url(), target())).rejects.toThrow('larger than 1 MB');
  });

  it('fails when the server stalls, before the file or within it', async () => {
    const hasty = new Downloads(new TargetGuard({}), { maxBytes: 1_000, timeoutMs: 60_000, stallMs: 50 });
    for (const stall of [
      () => undefined,
      (_request: unknown, response: { write(text: string): void }) => response.write('x'),
    ]) {
      answer = stall;
      await expect(hasty.fetch(url(), join(folder, String(Math.random())))).rejects.toThrow(
        'sent nothing for 0.05 s',
      );
    }
    await hasty.stop();
  });

  it('fails when the file comes too slowly', async () => {
    const hasty = new Downloads(new TargetGuard({}), {
      maxBytes: 1_000_000,
      timeoutMs: 100,
      stallMs: 60_000,
    });
    answer = (_request, response) => {
      const timer = setInterval(() => response.write('x'), 10);
      response.on('close', () => clearInterval(timer));
    };
    await expect(hasty.fetch(url(), target())).rejects.toThrow('longer than 0.1 s');
    await hasty.stop();
  });

  it('fails when the connection breaks, and where nobody listens', async () => {
    answer = (_request, response) => {
      response.setHeader('content-length', 10).write('x');
      response.socket?.destroySoon();
    };
    await expect(downloads.fetch(url(), target())).rejects.toThrow(SoundError);
    const nobody = new URL('http://127.0.0.1:1/');
    await expect(downloads.fetch(nobody, join(folder, 'other'))).rejects.toThrow(
      /could not be fetched: .*ECONNREFUSED/,
    );
  });

  it('is not made from addresses that webhooks are not sent to', async () => {
    let asked = 0;
    answer = (_request, response) => {
      asked += 1;
      response.end();
    };
    const guarded = new Downloads(new TargetGuard({ deny: ['127.0.0.0/8', '::1/128'] }), {
      maxBytes: 1_000,
      timeoutMs: 60_000,
      stallMs: 60_000,
    });
    const words = (host: string) => `Media must not be fetched from ${host}.`;
    expect(() => guarded.check(url())).toThrow(words('127.0.0.1'));
    await expect(guarded.fetch(url(), target())).rejects.toThrow(words('127.0.0.1'));
    const byName = url();
    byName.hostname = 'localhost';
    await expect(guarded.fetch(byName, target())).rejects.toThrow(words('localhost'));
    expect(() => downloads.check(new URL('http://169.254.169.254/'))).toThrow(words('169.254.169.254'));
    expect(asked).toBe(0);
    await guarded.stop();
  });
});
