import type { WorkerPlugin } from '../worker-plugin.js';
import { briefBuild } from './brief/brief-build.worker.js';
import { briefScout } from './brief/brief-scout.worker.js';
import { briefVerify } from './brief/brief-verify.worker.js';
import { httpFetch } from './fetch/http-fetch.worker.js';
import { reportCompose } from './report/report-compose.worker.js';
import { reportVerify } from './report/report-verify.worker.js';
import { repositorySurvey } from './survey/repository-survey.worker.js';
import { systemEcho } from './system-echo.worker.js';

/** The tool runners that come with the product. */
export const builtinWorkers: readonly WorkerPlugin[] = [
  systemEcho,
  repositorySurvey,
  reportCompose,
  reportVerify,
  briefScout,
  briefBuild,
  briefVerify,
  httpFetch,
];
