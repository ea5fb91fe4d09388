export { SimDatabase, SimStore } from './database.js';
export { Model } from './model.js';
