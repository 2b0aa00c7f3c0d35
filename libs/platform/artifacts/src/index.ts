export * from './blob-store.js';
export { URL_SECONDS_MAX, type BucketOptions } from './bucket.js';
export * from './errors.js';
export * from './staging-store.js';
