// Who may ask whom, by context. nats-server is given these lists for each user, and what is asked within one process is
// held to them too. `>` at the end stands for whatever follows.

export const ASKS = {
  access: ['cmd.>', 'qry.>'],
  mission: ['cmd.governance.>', 'qry.governance.>', 'cmd.vault.>', 'qry.vault.>', 'cmd.mission.>'],
  governance: ['cmd.governance.>'],
  vault: ['qry.mission.get'],
  evolution: [],
  worker: [
    ...['cmd.mission.poll', 'cmd.mission.report'],
    ...['cmd.vault.begin_upload', 'cmd.vault.record', 'qry.vault.open'],
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Asking = keyof typeof ASKS;

const REST = '>';

/** Whether a context may make this request. */
export const mayAsk = (context: string, subject: string): boolean => {
  const allowed: readonly string[] = Object.hasOwn(ASKS, context) ? ASKS[context as Asking] : [];
  return allowed.some((pattern) =>
    pattern.endsWith(REST) ? subject.startsWith(pattern.slice(0, -REST.length)) : subject === pattern,
  );
};
