export * from './artifact.js';
export * from './artifact.document.js';
