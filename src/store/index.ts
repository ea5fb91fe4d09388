export { openStore, type Store, type StoreLog } from './store.js';
