export { feedFromCore } from './core-events.js';
export type { EventFeed } from './feed.js';
