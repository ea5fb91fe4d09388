import { build } from 'esbuild';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The published browser clients that the gateway is tested with, by minor version. */
export type ClientVersion = '0.12' | '0.9';

/** Both, for `describe.each`. */
export const CLIENT_VERSIONS: readonly ClientVersion[] = ['0.12', '0.9'];

const PACKAGES: Record<ClientVersion, string> = {
  '0.12': '@bandwidth/webrtc-browser',
  '0.9': 'webrtc-browser-0.9',
};

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const bundles = new Map<ClientVersion, Promise<string>>();

/** The unmodified client and the test page's own script, as one classic script for a page. */
export function clientBundle(version: ClientVersion): Promise<string> {
  const known = bundles.get(version);
  if (known) return known;
  const bundle = bundleClient(version);
  bundles.set(version, bundle);
  return bundle;
}

async function bundleClient(version: ClientVersion): Promise<string> {
  const client = JSON.stringify(require.resolve(PACKAGES[version]));
  const page = JSON.stringify(join(here, 'page', 'main.ts'));
  const result = await build({
    stdin: {
      // Assigned before the page's script runs, hence require and not import, which would be hoisted.
      contents: `globalThis.BandwidthRtc = require(${client}).default; require(${page});`,
      resolveDir: here,
    },
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    target: 'es2022',
    define: { global: 'window' },
    logLevel: 'silent',
  });
  return result.outputFiles[0]!.text;
}
