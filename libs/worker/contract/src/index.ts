export * from './manifest.js';
export * from './runner.messages.js';
export * from './permit.js';
export * from './builtin.js';
