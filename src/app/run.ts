import type { Logger } from 'pino';
import { type Config, ConfigError, DEVELOPMENT_ACCOUNT, readConfig } from './read-config.js';
import { type Gateway, startGateway } from './gateway.js';
import { knownTerminal, onStopSignals, surviveUncaught, yieldToCalls } from './process.js';
import { createLog } from './log.js';
import { nameSourcesInStackTraces } from './stack-traces.js';
import { VERSION } from './version.js';
import { StoppedWaiting } from './stopped-waiting.js';
import { StartError } from './start-error.js';
import { StoreError } from '../store/index.js';

const EXIT_USAGE = 2;

nameSourcesInStackTraces();

// drachtio-srf reads process.env for each header of each message: 2.5 % of a call's CPU; a plain-object copy is cheap.
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

/** How long what is left open may keep the process of a failed start alive. */
const LINGER_MS = 1_000;

/** How long the stop may take after the second signal. */
const HURRY_LIMIT_MS = 10_000;

/**
 * The first stop signal drains and exits with 0, the second hangs up at once and exits with 1, the third just exits.
 * A signal during the start takes effect after it, since a stop is the safest way to undo a start.
 */
function stopOnSignals(starting: Promise<Gateway>, quit: AbortController, log: Logger): void {
  const hurry = new AbortController();
  const stop = async (): Promise<void> => {
    quit.abort();
    const gateway = await started(starting);
    await gateway?.stop(hurry.signal);
    log.info('stopped');
    process.exit(hurry.signal.aborted ? 1 : 0);
  };
  onStopSignals(process, [
    (signal) => {
      log.info({ signal }, 'stopping');
      stop().catch((error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(1);
      });
    },
    (signal) => {
      log.warn({ signal }, 'stopping at once');
      hurry.abort();
      setTimeout(() => process.exit(1), HURRY_LIMIT_MS);
    },
    () => process.exit(1),
  ]);
}

/** The gateway; undefined when it was told to stop while it waited to become the leader. */
async function started(starting: Promise<Gateway>): Promise<Gateway | undefined> {
  try {
    return await starting;
  } catch (error) {
    if (error instanceof StoppedWaiting) return undefined;
    throw error;
  }
}

/** SIGUSR2: exits at once, and leaves the calls to the next gateway of the data folder. */
function leaveOnSignal(starting: Promise<Gateway>, quit: AbortController, log: Logger): void {
  const leave = async (): Promise<void> => {
    quit.abort();
    const gateway = await started(starting);
    // A standby has no calls.
    if (!gateway) process.exit(0);
    if (await gateway.leave()) {
      log.info('The calls are left to the next gateway.');
      process.exit(0);
    }
    log.warn('SIGUSR2 is ignored: with PATCHBAY_MEDIA_HOSTS=0 no call outlives the gateway.');
  };
  process.on('SIGUSR2', () => {
    leave().catch((error: unknown) =>
      log.error({ err: error }, 'The calls could not be left to the next gateway.'),
    );
  });
}

// Without a handler a log file at its limit (ulimit -f) would end the process; now the write fails.
process.on('SIGXFSZ', () => undefined);
const forgetLostTerminal = knownTerminal();
process.on('SIGHUP', forgetLostTerminal);
process.on('exit', forgetLostTerminal);
const config = configuration();
const log = createLog(config.logLevel);
yieldToCalls(log);
if (config.accounts.includes(DEVELOPMENT_ACCOUNT)) {
  const { id, user, password } = DEVELOPMENT_ACCOUNT;
  log.warn({ account: id, user, password }, 'PATCHBAY_ACCOUNTS is not set: using the development account');
}
try {
  const end = (why: string) => (): void => {
    log.fatal(why);
    process.exit(1);
  };
  const quit = new AbortController();
  const starting = startGateway(config, log, {
    quit: quit.signal,
    onSuperseded: end('Another gateway of the data folder has taken the media hosts: this one ends.'),
    onDeposed: end('Another gateway has taken over the database of PATCHBAY_STORE: this one ends.'),
  });
  stopOnSignals(starting, quit, log);
  leaveOnSignal(starting, quit, log);
  const gateway = await starting;
  // Only now: an uncaught error during the start must end it.
  surviveUncaught(process, log, gateway.metrics);
  log.info({ ...gateway.addresses, version: VERSION }, 'ready');
  // At once: supervisors and tests wait for this line.
  log.flush();
} catch (error) {
  // Otherwise the signal ends the process.
  if (!(error instanceof StoppedWaiting)) {
    if (error instanceof StartError || error instanceof StoreError) {
      log.fatal(`could not start: ${error.message}`);
    } else {
      log.fatal({ err: error }, 'could not start');
    }
    process.exitCode = 1;
    // Connections that drachtio-srf goes on trying, for example, would keep a failed start alive for many seconds.
    setTimeout(() => process.exit(), LINGER_MS).unref();
  }
}
