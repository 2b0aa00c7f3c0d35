export * from './decider-spec.js';
export * from './servers.js';
export * from './test-servers.js';
