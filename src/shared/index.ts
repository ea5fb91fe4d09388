export { hangUp } from './hang-up.js';
