export * from './approval.events.js';
export * from './gate.js';
export * from './governance.requests.js';
export * from './restoration.events.js';
export * from './review.events.js';
