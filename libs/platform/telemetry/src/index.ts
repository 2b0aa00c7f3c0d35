export * from './logger.js';
export * from './metrics.js';
export * from './runtime-samples.js';
export * from './tracing.js';
