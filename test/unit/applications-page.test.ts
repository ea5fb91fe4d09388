import { readFileSync } from 'node:fs';
import { ApiController, Client, Environment } from '@bandwidth/webrtc';
import { build } from 'esbuild';
import { afterEach, describe, expect, it, vi } from 'vitest';

const page = readFileSync('docs/applications.md', 'utf8');
const blocks = [...page.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code!);

/** Requests that the SDK makes, without a network. */
async function requestOf(
  configuration: object,
  body: object = {},
): Promise<{ url: string; user: string; body: string }> {
  const sent: { url: string; auth: { username: string }; data: string }[] = [];
  const adapter = (config: (typeof sent)[number]) => {
    sent.push(config);
    return Promise.resolve({ status: 200, statusText: '', headers: {}, data: '{}', config });
  };
  const client = new Client({
    ...configuration,
    baseUrl: 'http://gateway.example/v1',
    basicAuthUserName: 'acme',
    unstable_httpClientOptions: { adapter },
  });
  await new ApiController(client).createParticipant('1', body);
  const [{ url, auth, data }] = sent as [(typeof sent)[number]];
  return { url, user: auth.username, body: data };
}

describe('docs/applications.md', () => {
  it('says rightly that the SDK sends credentials to the vendor unless it is told both', async () => {
    expect(page).toContain("**Without `environment: 'custom'` the SDK ignores `baseUrl`");
    expect(Environment.Custom).toBe('custom');
    expect(await requestOf({ environment: Environment.Custom })).toMatchObject({
      url: 'http://gateway.example/v1/accounts/1/participants',
    });
    expect(await requestOf({})).toMatchObject({
      url: 'https://api.webrtc.bandwidth.com/v1/accounts/1/participants',
      user: 'acme',
    });
  });

  it('says rightly that the SDK drops properties that it does not know', async () => {
    const { body } = await requestOf({ environment: Environment.Custom }, { tag: 'Ann', events: ['hold'] });
    expect(JSON.parse(body)).toEqual({ tag: 'Ann' });
  });

  it('maps every function of the SDK', () => {
    const functions = [
      ...Object.getOwnPropertyNames(ApiController.prototype).filter((name) => name !== 'constructor'),
      ...Object.getOwnPropertyNames(ApiController).filter((name) => name.startsWith('generate')),
    ];
    const [, table] = page.split('| function of `ApiController`');
    const mapped = [...table!.split('\n\n')[0]!.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name!);
    expect(mapped.sort()).toEqual(functions.sort());
  });

  it('has a page that can be bundled as it says', async () => {
    const [, options] = /npx esbuild page\.js (.*)\n/.exec(page)!;
    expect(options).toBe('--bundle --platform=browser --define:global=window --outfile=page.bundle.js');
    const contents = blocks.find((code) => code.includes("from '@bandwidth/webrtc-browser'"));
    const { errors, outputFiles } = await build({
      stdin: { contents: contents!, resolveDir: '.' },
      bundle: true,
      platform: 'browser',
      define: { global: 'window' },
      format: 'esm',
      write: false,
      logLevel: 'silent',
    });
    expect(errors).toEqual([]);
    expect(outputFiles[0]!.text).toContain('RTCPeerConnection');
  });

  describe('has a limit for a connect() that never settles', () => {
    const code = blocks.find((block) => block.includes('Promise.race'))!;
    type Connect = (token: string, client: object, websocketUrl: string) => Promise<void>;
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the code is our own document's
    const connect = new Function(
      'token',
      'client',
      'websocketUrl',
      `return (async () => {${code}})()`,
    ) as Connect;
    const tokenUntil = (ms: number): string =>
      `header.${Buffer.from(JSON.stringify({ p: '??>>', exp: ms / 1000 })).toString('base64url')}.signature`;
    const client = { connect: vi.fn(), disconnect: vi.fn() };

    afterEach(() => {
      vi.useRealTimers();
      vi.resetAllMocks();
    });

    it('and sees by itself that the token has expired', async () => {
      await expect(connect(tokenUntil(Date.now() - 1_000), client, '')).rejects.toThrow('expired');
      expect(client.connect).not.toHaveBeenCalled();
    });

    it('and gives up', async () => {
      vi.useFakeTimers();
      client.connect.mockReturnValue(new Promise(() => undefined));
      const connecting = expect(connect(tokenUntil(Date.now() + 60_000), client, 'ws://g')).rejects.toThrow(
        'No answer',
      );
      await vi.advanceTimersByTimeAsync(10_000);
      await connecting;
      expect(client.disconnect).toHaveBeenCalledOnce();
    });

    it('and leaves alone what connects', async () => {
      vi.useFakeTimers();
      client.connect.mockResolvedValue(undefined);
      await connect(tokenUntil(Date.now() + 60_000), client, 'ws://g');
      expect(client.connect.mock.calls).toEqual([
        [{ deviceToken: expect.any(String) as string }, { websocketUrl: 'ws://g' }],
      ]);
      await vi.advanceTimersByTimeAsync(20_000);
      expect(client.disconnect).not.toHaveBeenCalled();
    });
  });
});
