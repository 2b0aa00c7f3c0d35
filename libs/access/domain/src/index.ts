export * from './session.js';
export * from './lockout.js';
export * from './token.js';
