export * from './header.js';
export * from './extensions.js';
export * from './sequence.js';
