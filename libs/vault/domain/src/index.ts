export * from './artifact.js';
