export * from './client.js';
export * from './event-stream.js';
export type * from './generated/types.gen.js';
export type { Operations } from './generated/operations.gen.js';
