export { type BrowserCounters, createBrowserGateway } from './gateway.js';
export { turnCredentials } from './turn-credentials.js';
