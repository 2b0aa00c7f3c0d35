export * from './session.js';
export * from './lockout.js';
