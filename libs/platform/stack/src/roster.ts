import { rmSync } from 'node:fs';
import type { Child } from './child.js';
import { hasCode } from './fault.js';
import { recordOf, type ProcessRecord } from './identity.js';
import { recordsFile, writeRecords } from './leftovers.js';
import { startReaper } from './reaper.js';

export type Roster = Readonly<{
  add: (child: Child) => void;
  pids: () => Record<string, number>;
  /** Everything has ended: nothing is left to clean up. */
  close: () => void;
}>;

/** The processes there are now, written down as they start. */
export const openRoster = (data_dir: string, onChange: () => void, onFault: (error: unknown) => void): Roster => {
  const records = new Map<string, ProcessRecord>();
  const reaper = startReaper();
  const write = () => {
    const all = [...records.values()];
    reaper.update(all);
    try {
      writeRecords(data_dir, all);
      onChange();
    } catch (error) {
      // On a full disk it is all the more important that what died comes back.
      if (!hasCode(error, 'ENOSPC', 'EDQUOT', 'EROFS')) throw error;
      onFault(error);
    }
  };
  return {
    add: (child) => {
      const record = recordOf(child.name, child.pid);
      if (!record) return;
      records.set(child.name, record);
      write();
    },
    pids: () => Object.fromEntries([...records.values()].map(({ name, pid }) => [name, pid])),
    close: () => {
      reaper.dismiss();
      rmSync(recordsFile(data_dir), { force: true });
    },
  };
};
