import type { MediaPlaneEvent } from '../door.js';
import { HostFolder } from './folder.js';
import { HostServer, type HostServerOptions } from './server.js';

export interface HostProcessOptions extends Pick<HostServerOptions, 'version' | 'handoverMs'> {
  readonly dataDir: string;
  /** Absent: the host was started by itself and makes up its own. */
  readonly id?: string | undefined;
}

/**
 * Runs a media host in this process, until it ends the process.
 * @throws Error by rejection when its socket cannot be made
 */
export async function runHost(
  { dataDir, id = HostFolder.newId(), ...options }: HostProcessOptions,
  makePlane: HostServerOptions['makePlane'],
): Promise<void> {
  const folder = await HostFolder.open(dataDir);
  const server = new HostServer({ ...options, id, folder, makePlane, onEnd: () => process.exit(0) });
  // A bug in one call must not end all others.
  const note = (error: unknown): void => server.log(bugReport(error));
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  // Its gateway tells it when to end. A signal to itself means that nobody else will.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void server.end());
  for (const signal of ['SIGHUP', 'SIGUSR2', 'SIGXFSZ'] as const) process.on(signal, () => undefined);
  await server.start();
}

function bugReport(error: unknown): MediaPlaneEvent {
  return {
    type: 'log',
    level: 'error',
    fields: { err: error instanceof Error ? { message: error.message, stack: error.stack } : String(error) },
    message: 'uncaught error: this is a bug in the media host',
  };
}
