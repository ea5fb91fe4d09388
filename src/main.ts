import type { Logger } from 'pino';
import { type Config, ConfigError, DEVELOPMENT_ACCOUNT, readConfig } from './config.js';
import { type Gateway, startGateway } from './gateway.js';
import { yieldToCalls } from './helper-threads.js';
import { createLog } from './log.js';
import { surviveUncaught } from './uncaught.js';

const EXIT_USAGE = 2;

// The SIP library looks up an environment variable for each header of each message; the environment itself is slow to
// ask (a fortieth of what a call costs), a copy is not.
process.env = { ...process.env };

function configuration(): Config {
  try {
    return readConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`Patchbay cannot start, its configuration is wrong:\n${error.message}\n`);
    process.exit(EXIT_USAGE);
  }
}

/** SIGTERM and SIGINT drain, then exit 0; a second one does not wait. */
function stopOnSignals(gateway: Gateway, log: Logger): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    gateway.stop().then(
      () => {
        log.info('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

const config = configuration();
const log = createLog(config.logLevel);
yieldToCalls(log);
if (config.accounts.includes(DEVELOPMENT_ACCOUNT)) {
  const { id, user, password } = DEVELOPMENT_ACCOUNT;
  log.warn({ account: id, user, password }, 'PATCHBAY_ACCOUNTS is not set: using the development account');
}
try {
  const gateway = await startGateway(config, log);
  // Not before: an error on the way up ends the start.
  surviveUncaught(process, log, gateway.metrics);
  stopOnSignals(gateway, log);
  log.info({ ...gateway.addresses }, 'ready');
} catch (error) {
  log.fatal({ err: error }, 'could not start');
  process.exitCode = 1;
}
