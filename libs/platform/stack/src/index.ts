export { startComponents, type ComponentSet } from './components.js';
export { StartFault } from './fault.js';
export { CONTEXTS, permissionsOf, type ContextName, type Permissions } from './nats-permissions.js';
export { natsConfig } from './nats.js';
export { consoleReport, silentReport, type Report } from './report.js';
export { prepareSecrets, type ContextSecrets, type Secrets } from './secrets.js';
export { servicesOf, type Service } from './services.js';
export type { Settings } from './settings.js';
export { supervise, type RunFile, type Stack, type SupervisorOptions } from './supervisor.js';
