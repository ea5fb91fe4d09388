export { backup, restore } from './backups.js';
export { type FolderLock, lockFolder, prepareFolder } from './data-folder.js';
export { openLibsql } from './engine.js';
export { type MovedFolder, openToMove } from './moved-folder.js';
