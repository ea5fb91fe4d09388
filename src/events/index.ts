export { feedFromCore } from './core-events.js';
export { EventFeed } from './feed.js';
