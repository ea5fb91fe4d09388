export { type BrowserCounters, BrowserServer } from './browser-server.js';
export { turnCredentials } from './turn-credentials.js';
