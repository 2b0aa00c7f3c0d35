// The catalogue: every worker that a plan may name. The built-in ones are known from their contracts; runners tell of
// others when they ask for work. It is a cache: what a plan was made with is in its events.

import { Injectable } from '@nestjs/common';
import { canonical, sha256Hex } from '@nexusmon/event-log';
import { builtinContracts, manifestOf, workerManifest, type WorkerManifest } from '@nexusmon/worker-contract';
import { z } from 'zod';

type Known = Readonly<{
  manifest: WorkerManifest;
  input: z.ZodType;
  output: z.ZodType;
  path_fields: readonly string[];
  url_fields: readonly string[];
}>;

@Injectable()
export class WorkerCatalog {
  private readonly known = new Map<string, Known>();

  constructor() {
    for (const [name, contract] of Object.entries(builtinContracts)) {
      const manifest = manifestOf({ name, ...contract }, (value) => sha256Hex(canonical(value)));
      const { input, output, path_fields, url_fields } = contract;
      this.known.set(name, { manifest, input, output, path_fields, url_fields });
    }
  }

  get(name: string): Known | undefined {
    return this.known.get(name);
  }

  get manifests(): readonly WorkerManifest[] {
    return [...this.known.values()].map(({ manifest }) => manifest);
  }

  /** Takes over what a runner says of its workers. A built-in name cannot be taken by another worker. */
  announce(manifests: readonly WorkerManifest[]): void {
    for (const announced of manifests) {
      if (Object.hasOwn(builtinContracts, announced.name)) continue;
      if (this.known.get(announced.name)?.manifest.digest === announced.digest) continue;
      const manifest = workerManifest.parse(announced);
      this.known.set(manifest.name, {
        manifest,
        input: z.fromJSONSchema(manifest.input_schema),
        output: z.fromJSONSchema(manifest.output_schema),
        path_fields: [],
        url_fields: [],
      });
    }
  }
}
