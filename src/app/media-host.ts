import { runMediaHost } from '../media/index.js';
import { nameSourcesInStackTraces } from './stack-traces.js';
import { VERSION } from './version.js';

nameSourcesInStackTraces();

/** How long a host that no gateway started waits for its first gateway. */
const FIRST_GATEWAY_MS = 60_000;

// The gateway passes its data folder and the host's id; a host that is started independently gets neither.
const [dataDir = process.env['PATCHBAY_DATA_DIR'] || 'data', id] = process.argv.slice(2);
try {
  await runMediaHost({ dataDir, id, version: VERSION, handoverMs: FIRST_GATEWAY_MS });
} catch (error) {
  process.stderr.write(
    `The media host cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 1;
}
