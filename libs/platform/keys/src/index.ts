export * from './keyring.js';
export * from './signatures.js';
