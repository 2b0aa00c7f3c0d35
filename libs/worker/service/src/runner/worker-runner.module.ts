import { createPublicKey } from 'node:crypto';
import { Injectable, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Config, ContextSecrets } from '@nexusmon/config';
import { Signatures } from '@nexusmon/keys';
import { MessageClient } from '@nexusmon/messaging';
import { MISSION_SUBJECTS } from '@nexusmon/mission-contract';
import { PlatformModule } from '@nexusmon/runtime';
import { Logger } from '@nexusmon/telemetry';
import type { PollReply, ReportReply } from '@nexusmon/worker-contract';
import { ArtifactKeeper } from './artifact-keeper.js';
import { Runner, type MissionDesk } from './runner.js';
import { ThreadPool } from './thread-pool.js';
import { loadManifests } from './worker-catalogue.js';

/** Threads that stay when there is nothing to do: enough for short tasks on a small machine. */
const THREADS_KEPT_MAX = 2;

const deskOver = (client: MessageClient): MissionDesk => ({
  poll: (request, timeout_ms) => client.request<PollReply>(MISSION_SUBJECTS.poll, request, { timeout_ms }),
  report: (request, timeout_ms) => client.request<ReportReply>(MISSION_SUBJECTS.report, request, { timeout_ms }),
});

/** One runner for as long as the process lasts. */
@Injectable()
export class WorkerRunner implements OnApplicationBootstrap, OnModuleDestroy {
  private runner: Runner | undefined;

  constructor(
    private readonly config: Config,
    private readonly secrets: ContextSecrets,
    private readonly client: MessageClient,
    private readonly log: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { runner_id, slots, heap_mb_max, modules, allowed_roots, forbidden_roots, path, drain_ms } =
      this.config.worker;
    const manifests = await loadManifests(modules);
    const threads_kept = Math.min(THREADS_KEPT_MAX, slots);
    const pool = new ThreadPool({
      ...{ modules, allowed_roots, forbidden_roots, heap_mb_max, path },
      threads_max: slots,
      threads_kept,
    });
    const keeper = new ArtifactKeeper(this.client);
    const governance = new Signatures(createPublicKey(this.secrets.get('permit_public_key')));
    const tools = { pool, keeper, governance, manifests };
    this.runner = new Runner({ runner_id, slots, drain_ms }, deskOver(this.client), tools, this.log);
    this.runner.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.runner?.stop();
  }
}

@Module({ imports: [PlatformModule.forContext('worker')], providers: [WorkerRunner] })
export class WorkerRunnerModule {}
