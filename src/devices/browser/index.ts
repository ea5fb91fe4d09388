export {
  type BrowserCounters,
  type BrowserGateway,
  type BrowserGatewayOptions,
  createBrowserGateway,
} from './gateway.js';
export type { GraceTimes } from './grace.js';
export { type BrowserLimits, DEFAULT_BROWSER_LIMITS } from './limits.js';
export { type IceServer, turnCredentials, type TurnServer } from './turn-credentials.js';
