// Who may say what on NATS.
//
//   N1. Each context appends only to its own subjects, and answers only its own requests.
//   N2. Nobody but `admin` creates, changes, purges or deletes a stream.
//   N3. `reader` follows the log and can append nothing.
//   N4. An inbox belongs to one user: nobody reads another's answers, and only who may be asked may write there. The
//       server's own leave to answer is not used: it would let whoever asks have the answer written anywhere, the log
//       included.
//   N5. No list is ever empty: an empty list would allow everything.

export const CONTEXTS = [
  'mission',
  'governance',
  'gateway',
  'vault',
  'evolution',
  'worker',
  'reader',
  'admin',
] as const;
export type ContextName = (typeof CONTEXTS)[number];

export type Permissions = Readonly<{
  publish: readonly string[];
  subscribe: readonly string[];
}>;

const LOG_READS = ['$JS.API.STREAM.MSG.GET.*', '$JS.API.STREAM.INFO.*'];
/** What each may ask of the others, and of its own kind elsewhere. */
const REQUESTS: Readonly<Record<Exclude<ContextName, 'reader' | 'admin'>, readonly string[]>> = {
  gateway: ['cmd.>', 'qry.>'],
  mission: ['cmd.governance.>', 'qry.governance.>', 'cmd.vault.>', 'qry.vault.>', 'cmd.mission.>'],
  governance: ['cmd.governance.>'],
  vault: ['qry.mission.get'],
  evolution: [],
  worker: ['cmd.mission.poll', 'cmd.mission.report', 'cmd.vault.>', 'qry.vault.>'],
};

/** The context that lives in the gateway is called `access`. */
const contextOf = (user: ContextName) => (user === 'gateway' ? 'access' : user);

const inboxOf = (user: ContextName) => `_INBOX_${user}.>`;

type Asking = keyof typeof REQUESTS;
const ASKING = Object.keys(REQUESTS) as Asking[];

/** Whether one may send the other any request at all. */
const mayAsk = (asker: Asking, asked: Asking) => {
  const subjects = ['cmd.>', 'qry.>', `cmd.${contextOf(asked)}.`, `qry.${contextOf(asked)}.`];
  return REQUESTS[asker].some((allowed) => subjects.some((subject) => allowed.startsWith(subject)));
};

const serviceOf = (user: Asking): Permissions => ({
  publish: [
    ...(user === 'worker' ? [] : [`evt.*.${contextOf(user)}.>`, ...LOG_READS]),
    ...REQUESTS[user],
    ...ASKING.filter((asker) => mayAsk(asker, user)).map(inboxOf),
  ],
  subscribe: [inboxOf(user), `cmd.${contextOf(user)}.>`, `qry.${contextOf(user)}.>`],
});

const READER: Permissions = {
  publish: [
    '$JS.API.INFO',
    '$JS.API.CONSUMER.CREATE.*.>',
    '$JS.API.CONSUMER.MSG.NEXT.*.>',
    '$JS.API.CONSUMER.INFO.*.>',
    '$JS.API.CONSUMER.DELETE.*.>',
    ...LOG_READS,
  ],
  subscribe: [inboxOf('reader')],
};

export const permissionsOf = (user: ContextName): Permissions => {
  if (user === 'admin') return { publish: ['>'], subscribe: ['>'] };
  return user === 'reader' ? READER : serviceOf(user);
};
