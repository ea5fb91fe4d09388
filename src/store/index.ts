export { backup, restore } from './backups.js';
export { DataFolderError } from './data-folder.js';
export { openStore, type Store } from './store.js';
