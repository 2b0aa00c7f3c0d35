// Everything about who may ask, put together.

import type { SessionDocument, TokenDocument } from '@nexusmon/access-contract';
import type { Config, ContextSecrets } from '@nexusmon/config';
import type { EventLog } from '@nexusmon/event-log';
import type { Keyring } from '@nexusmon/keys';
import type { Database, PageAnswer, Projections } from '@nexusmon/projections';
import type { Page } from '@nexusmon/shared-contract';
import type { Logger } from '@nexusmon/telemetry';
import { settled } from '../http/problem.js';
import { RateLimit } from '../http/rate-limit.js';
import { allowedOrigins } from '../http/security-headers.js';
import type { Answer } from '../http/services.js';
import { Admission } from './admission.js';
import { ApiTokens } from './api-tokens.js';
import { Credentials } from './credentials.js';
import { KeyChecks } from './key-checks.js';
import { readOperatorKey } from './operator-key.js';
import { SessionTokens, tokenKeys } from './session-token.js';
import type { Listing } from './own-list.js';
import { listSessions, SESSION_PROJECTION } from './session.projection.js';
import { ACCOUNT, Sessions } from './sessions.js';
import { listTokens, TOKEN_PROJECTION } from './token.projection.js';

type Asked = Listing & Readonly<{ min_position: string | undefined }>;
type List<Item> = (asked: Asked) => Promise<Answer<Page<Item>>>;
export type AccessLists = Readonly<{ sessions: List<SessionDocument>; tokens: List<TokenDocument> }>;

/** The gateway's own lists: it reads its own views, with the same waiting and refusals as the services. */
export const accessLists = (database: Database, projections: Projections): AccessLists => {
  const listOf =
    <Item>(projection: string, read: (database: Database, listing: Listing) => Promise<PageAnswer<Item>>): List<Item> =>
    async ({ min_position, ...listing }) => {
      const refusal = await projections.unreached(projection, min_position);
      if (refusal) return settled({ kind: 'refused', refusal });
      const position = projections.checkpointPosition(projection);
      const found = await read(database, listing);
      if ('refusal' in found) return settled({ kind: 'refused', refusal: found.refusal });
      return { changed: false, position, body: found.page };
    };
  return { sessions: listOf(SESSION_PROJECTION, listSessions), tokens: listOf(TOKEN_PROJECTION, listTokens) };
};

export type AccessParts = Readonly<{
  settings: Config['access'];
  secrets: ContextSecrets;
  log: EventLog;
  keyring: Keyring;
  logger: Logger;
}>;

export const makeAccess = ({ settings, secrets, log, keyring, logger }: AccessParts) => {
  const pepper = Buffer.from(secrets.get('pepper'), 'base64');
  const origins = allowedOrigins(settings.allowed_origins, settings.allowed_tunnel_ids);
  const key = readOperatorKey(settings.operator_key, settings.operator_key_file, pepper);
  const keys = new KeyChecks({ log, keyring, key, account: ACCOUNT, pepper, logger });
  const signed = new SessionTokens(tokenKeys(settings.jwt_secret, () => secrets.get('session_private_key')));
  const sessions = new Sessions({ log, keyring, tokens: signed, keys, binding: settings.session_binding, origins });
  const tokens = new ApiTokens({ log, keyring, pepper, logger });
  const credentials = new Credentials(sessions, tokens);
  const per_credential = new RateLimit('credential', settings.requests_per_credential);
  const per_address = new RateLimit('address', settings.requests_per_address);
  const admission = new Admission({ credentials, keys, account: ACCOUNT, per_credential, per_address });
  return { origins, sessions, tokens, credentials, admission };
};
