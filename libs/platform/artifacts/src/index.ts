export * from './blob-store.js';
export * from './errors.js';
