export * from './plan.js';
export * from './inspection.js';
export * from './mission.events.js';
export * from './mission.requests.js';
export * from './mission.document.js';
export * from './templates.js';
