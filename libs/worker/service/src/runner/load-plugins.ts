// Loads workers, in the runner (for their manifests) and in each of its threads (to run them). Imports little, because
// every thread pays for it.

import { pathToFileURL } from 'node:url';
import { builtinWorkers } from '../builtin/index.js';
import type { WorkerPlugin } from '../worker-plugin.js';

export type LoadedPlugins = Readonly<{ source: string; plugins: readonly WorkerPlugin[] }>;

/** `modules` are absolute paths of ES modules that export `workers: WorkerPlugin[]`. */
export const loadPlugins = async (modules: readonly string[]): Promise<LoadedPlugins[]> => {
  const loaded: LoadedPlugins[] = [{ source: 'built-in', plugins: builtinWorkers }];
  for (const source of modules) {
    const { workers } = (await import(pathToFileURL(source).href)) as { workers?: unknown };
    if (!Array.isArray(workers)) throw new TypeError(`${source} exports no list named workers`);
    loaded.push({ source, plugins: workers as WorkerPlugin[] });
  }
  return loaded;
};
