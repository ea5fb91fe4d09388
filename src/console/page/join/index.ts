export { Join } from './join.js';
export { TokenForm } from './token-form.js';
