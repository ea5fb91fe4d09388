export { TestCallView } from './test-call-view.js';
