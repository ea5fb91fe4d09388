import { readFileSync } from 'node:fs';
import { ApiController, Client, Environment } from '@bandwidth/webrtc';
import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/applications.md', 'utf8');

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
    const [contents] = [...page.matchAll(/```js\n([^]*?)```/g)]
      .map(([, code]) => code!)
      .filter((code) => code.includes("from '@bandwidth/webrtc-browser'"));
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
});
