export * from './worker-plugin.js';
export * from './builtin/index.js';
export { loadManifests, manifestOf } from './runner/worker-catalogue.js';
export { WorkerRunnerModule } from './runner/worker-runner.module.js';
