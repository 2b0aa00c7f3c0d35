// Who may say what on NATS.
//
//   N1. Each context appends only to its own subjects, and answers only its own requests.
//   N2. Nobody but `admin` creates, changes, purges or deletes a stream.
//   N3. `reader` follows the log and can append nothing.
//   N4. An inbox belongs to one user: nobody reads another's answers, and only who may be asked may write there. The
//       server's own leave to answer is not used: it would let whoever asks have the answer written anywhere, the log
//       included.
//   N5. No list is ever empty: an empty list would allow everything.

import { ASKS } from '@nexusmon/shared-contract';

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
/** The context that lives in the gateway is called `access`. */
const contextOf = (user: Exclude<ContextName, 'reader' | 'admin'>) => (user === 'gateway' ? 'access' : user);

const inboxOf = (user: ContextName) => `_INBOX_${user}.>`;

type Asker = Exclude<ContextName, 'reader' | 'admin'>;
const ASKERS = CONTEXTS.filter((context) => context !== 'reader' && context !== 'admin');

/** What each may ask of the others, and of its own kind elsewhere. */
const requestsOf = (user: Asker): readonly string[] => ASKS[contextOf(user)];

/** Whether one may send the other any request at all. */
const reaches = (asker: Asker, asked: Asker) => {
  const subjects = ['cmd.>', 'qry.>', `cmd.${contextOf(asked)}.`, `qry.${contextOf(asked)}.`];
  return requestsOf(asker).some((allowed) => subjects.some((subject) => allowed.startsWith(subject)));
};

const serviceOf = (user: Asker): Permissions => ({
  publish: [
    ...(user === 'worker' ? [] : [`evt.*.${contextOf(user)}.>`, ...LOG_READS]),
    ...requestsOf(user),
    ...ASKERS.filter((asker) => reaches(asker, user)).map(inboxOf),
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
