// Which workers a runner has: the built-in ones and those of the modules it was told to load.

import { isAbsolute } from 'node:path';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { workerManifest, type WorkerManifest } from '@nexusmon/worker-contract';
import { z } from 'zod';
import type { WorkerPlugin } from '../worker-plugin.js';
import { loadPlugins } from './load-plugins.js';

/** A module of workers that cannot be used. The runner does not start with it. */
export class WorkerModuleInvalid extends Error {
  override readonly name = 'WorkerModuleInvalid';
  constructor(module_path: string, why: string, options?: ErrorOptions) {
    super(`the worker module ${module_path} cannot be used: ${why}`, options);
  }
}

/** Where a schema says what JSON Schema has no word for (our JSON type, say), anything is allowed there. */
const jsonSchema = (schema: z.ZodType, io: 'input' | 'output') =>
  JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io, unrepresentable: 'any' }))) as Record<string, unknown>;

/** `digest` covers what a plan can rely on: the name, the version, and the two schemas. */
export const manifestOf = (plugin: WorkerPlugin): WorkerManifest => {
  const { name, version, description, capabilities, risk_level, requires_approval, timeout_seconds } = plugin;
  const input_schema = jsonSchema(plugin.input, 'input');
  const output_schema = jsonSchema(plugin.output, 'output');
  return workerManifest.parse({
    name,
    version,
    digest: sha256Hex(canonical({ name, version, schemas: { input: input_schema, output: output_schema } })),
    description,
    capabilities: [...capabilities],
    risk_level,
    requires_approval,
    timeout_seconds,
    input_schema,
    output_schema,
  });
};

/** The manifests of everything this runner can run, by name. Loads the modules to read them; nothing is executed. */
export const loadManifests = async (modules: readonly string[]): Promise<ReadonlyMap<string, WorkerManifest>> => {
  const manifests = new Map<string, WorkerManifest>();
  // A relative path would mean another file to a runner that was started elsewhere.
  for (const source of modules) {
    if (!isAbsolute(source)) throw new WorkerModuleInvalid(source, 'the path is not absolute');
  }
  for (const { source, plugins } of await loadPlugins(modules)) {
    for (const plugin of plugins) {
      if (manifests.has(plugin.name)) throw new WorkerModuleInvalid(source, `there is a ${plugin.name} already`);
      try {
        manifests.set(plugin.name, manifestOf(plugin));
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        throw new WorkerModuleInvalid(source, `${plugin.name} is not a worker`, { cause: error });
      }
    }
  }
  return manifests;
};
