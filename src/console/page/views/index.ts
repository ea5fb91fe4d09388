export { Account } from './account.js';
export { Home } from './home.js';
