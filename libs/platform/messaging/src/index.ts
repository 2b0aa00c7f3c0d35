export * from './connect.js';
export * from './handle.js';
export * from './message-client.js';
export * from './nats-server.js';
export * from './reply-text.js';
export * from './request-mux.js';
export * from './unavailable.js';
