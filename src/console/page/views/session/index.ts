export { SessionView } from './session-view.js';
