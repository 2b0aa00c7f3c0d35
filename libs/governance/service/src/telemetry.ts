// Figures of approvals: what was decided, counted once per process, and what waits just now.

import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { counted, Database, type Projection } from '@nexusmon/projections';
import { RANKS } from '@nexusmon/shared-contract';
import { counter, gauge } from '@nexusmon/telemetry';
import type { ExistingApproval } from '@nexusmon/governance-domain';
import { APPROVAL_VIEW } from './approval/approval.projection.js';

const decisions = counter('nexusmon_approval_decisions', { says: 'Approvals that were settled, by decision.' });

const DECISIONS: Readonly<Record<string, string>> = {
  ApprovalGranted: 'granted',
  ApprovalDenied: 'denied',
  ApprovalExpired: 'expired',
  ApprovalWithdrawn: 'withdrawn',
};
const WAITING = ['pending', 'cooling_off'];

@Injectable()
export class ApprovalFigures implements OnApplicationBootstrap, OnModuleDestroy {
  /** The rank of every approval that waits. */
  private readonly waiting = new Map<string, string>();
  /** What the projection has told of while those that waited before are being read. */
  private told: Set<string> | undefined = new Set();
  private readonly endGauge: () => void;

  constructor(private readonly database: Database) {
    this.endGauge = gauge('nexusmon_approvals_pending', { says: 'Approvals that wait, by rank.' }, () => {
      const ranks = [...this.waiting.values()];
      return RANKS.map((rank) => ({ value: ranks.filter((each) => each === rank).length, labels: { rank } }));
    });
  }

  /** The approvals' projection, with its figures kept. */
  withFigures(approvals: Projection): Projection {
    return counted(approvals, async (commits, store) => {
      for (const { commit, events } of commits) {
        for (const { name } of events) {
          const decision = DECISIONS[name];
          if (decision !== undefined) decisions({ decision });
        }
        const row = await store.table(APPROVAL_VIEW).get(commit.id);
        this.take(commit.id, row?.['state'] as ExistingApproval | undefined);
      }
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    const { rows } = await this.database.query<{ approval_id: string; rank: string }>(
      `select approval_id, state->'request'->>'rank' as rank from ${APPROVAL_VIEW} where status = any($1)`,
      [WAITING],
    );
    for (const { approval_id, rank } of rows) if (!this.told?.has(approval_id)) this.waiting.set(approval_id, rank);
    this.told = undefined;
  }

  onModuleDestroy(): void {
    this.endGauge();
  }

  private take(approval_id: string, state: ExistingApproval | undefined): void {
    this.told?.add(approval_id);
    if (state && WAITING.includes(state.status)) this.waiting.set(approval_id, state.request.rank);
    else this.waiting.delete(approval_id);
  }
}
