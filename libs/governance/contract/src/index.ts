export * from './approval.events.js';
export * from './gate.js';
export * from './governance.requests.js';
export * from './review.events.js';
