import type { MediaPlaneEvent } from '../door.js';
import { HostFolder } from './folder.js';
import { HostServer, type HostServerOptions } from './server.js';

export { HostRefusal } from './link.js';
export { RemoteMediaPlane } from './remote-plane.js';
export type { HostedPlane } from './server.js';
export type { HostsOptions } from './supervisor.js';

export interface HostProcessOptions extends Pick<HostServerOptions, 'version' | 'handoverMs'> {
  readonly dataDir: string;
  /** Absent: no gateway started the host, which then makes an id of its own. */
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
  // Its gateway normally tells it when to end. A signal to the host itself means that no gateway will.
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
