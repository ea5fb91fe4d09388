export { CONSOLE_COOKIE, ConsoleSessions } from './console-sessions.js';
export { FailedAttempts, type RefusedAttempt, tooManyAttempts } from './failed-attempts.js';
export { crossSite, isSameOrigin } from './same-origin.js';
export { signInRoutes } from './routes.js';
