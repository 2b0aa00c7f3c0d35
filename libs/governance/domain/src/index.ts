export * from './approval.js';
export * from './gate.js';
export * from './permit.js';
export * from './policy.js';
export * from './restoration.js';
export * from './review.js';
