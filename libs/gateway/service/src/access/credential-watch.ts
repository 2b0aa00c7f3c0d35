// Ends of sessions and tokens, as the live log tells them: what another process ended is not believed here for long.

import type { LogFeed } from '@nexusmon/projections';
import type { Follower } from '@nexusmon/projections';
import { sessionAggregate } from './session.aggregate.js';
import { tokenAggregate } from './token.aggregate.js';

const COMMITS_AT_ONCE = 256;
const WATCHED: readonly string[] = [sessionAggregate.name, tokenAggregate.name];

export class CredentialWatch {
  private readonly follower: Follower;

  constructor(
    feed: LogFeed,
    private readonly onChange: (credential_id: string) => void,
  ) {
    const now = new Map(feed.identities().map(({ number, last_sequence }) => [number, last_sequence]));
    this.follower = feed.follow(now, { patient: false });
  }

  /** Settles when the watch is closed; throws what halted the feed. */
  async run(): Promise<void> {
    for (;;) {
      const commits = await this.follower.take(COMMITS_AT_ONCE);
      if (commits.length === 0) return;
      for (const { context, aggregate, id } of commits)
        if (context === sessionAggregate.context && WATCHED.includes(aggregate)) this.onChange(id);
    }
  }

  close(): void {
    this.follower.close();
  }
}
