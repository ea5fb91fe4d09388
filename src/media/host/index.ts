export { type HostProcessOptions, runHost } from './run.js';
export { RemoteMediaPlane } from './remote-plane.js';
export type { HostsOptions } from './supervisor.js';
export { HostRefusal } from './link.js';
export type { HostedPlane } from './server.js';
