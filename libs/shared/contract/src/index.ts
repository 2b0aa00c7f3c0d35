export * from './answer-size.js';
export * from './asking.js';
export * from './catalogue.js';
export * from './egress.js';
export * from './envelope.js';
export * from './sealed.js';
export * from './words.js';
export * from './replies.js';
