export { backup, restore, type Restored } from './backups.js';
export { DataFolderError } from './data-folder.js';
export { openStore, type Store } from './store.js';
export type { StoreHealth } from './write-queue.js';
