// http.fetch
//
// Asks a host that the attempt's permit names for one document, and keeps what it answers.
//
//   F1. Every URL, the first and each that a redirect leads to, is checked against the permit, and its addresses too
//       (guarded-request.ts).
//   F2. A redirect never leads from https to http, and there are five at most.
//   F3. All of it together has one time limit, and the body one limit of bytes.

import type { IncomingMessage } from 'node:http';
import { createHash } from 'node:crypto';
import { parseEgressRule, permittedUrl, type EgressRule } from '@nexusmon/shared-contract';
import { ANSWER_HEADERS, URL_LENGTH_MAX } from '@nexusmon/worker-contract';
import { WorkerFault, type WorkerContext } from '../../worker-plugin.js';
import { builtinPlugin, type Execute, type InputOf, type OutputOf } from '../builtin-plugin.js';
import { ACCEPT_ENCODING, readBody, send, SYSTEM_NAMES, type Names } from './guarded-request.js';

export const REDIRECTS_MAX = 5;
const MS_PER_SECOND = 1_000;
const HEADER_LENGTH_MAX = 1_024;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What the vault takes as a media type; anything else is bytes. */
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*$/;
const USER_AGENT = 'nexusmon-http-fetch/1.0';

type Input = InputOf<'http.fetch'>;
type Output = OutputOf<'http.fetch'>;
type Place = Readonly<{ url: URL; rule: EgressRule }>;

/** Rules that cannot be read permit nothing. */
const rulesOf = (egress: readonly string[]): readonly EgressRule[] =>
  egress.flatMap((text) => {
    const parsed = parseEgressRule(text);
    return 'rule' in parsed && parsed.rule.text === text ? [parsed.rule] : [];
  });

/** F1, F2 */
export const placeOf = (text: string, rules: readonly EgressRule[], base?: URL): Place => {
  const found = permittedUrl(text, rules, base);
  const why = (message: string) => new WorkerFault(base ? `redirected by ${base.host}: ${message}` : message, false);
  if (!found.permitted) throw why(found.message);
  if (base?.protocol === 'https:' && found.url.protocol === 'http:') throw why('from https to http'); // F2
  if (found.url.href.length > URL_LENGTH_MAX) throw why(`the URL is longer than ${URL_LENGTH_MAX} characters`);
  return found;
};

const headersOf = ({ headers }: IncomingMessage): Output['headers'] =>
  Object.fromEntries(
    ANSWER_HEADERS.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value.slice(0, HEADER_LENGTH_MAX)]] : [];
    }),
  );

const isText = (value: unknown): value is string => typeof value === 'string';

/** What went wrong, in words that name no inside: a fault of the network is worth another try. */
const faultOf = (error: unknown, { url }: Place, { timeout_seconds }: Input, limit: AbortSignal): unknown => {
  if (error instanceof WorkerFault) return error;
  if (limit.aborted) return new WorkerFault(`${url.host} did not answer in full within ${timeout_seconds} s`, true);
  const code = error instanceof Error && 'code' in error && isText(error.code) ? error.code : undefined;
  if (code === undefined) return error;
  if (code.startsWith('Z_') || code.startsWith('ERR_BR') || code.startsWith('ERR__ERROR_FORMAT'))
    return new WorkerFault('the body is not what its encoding says', false, { cause: error });
  return new WorkerFault(`${url.host} could not be asked: ${code}`, true, { cause: error });
};

const follow = async (input: Input, context: WorkerContext, names: Names, limit: AbortSignal): Promise<Output> => {
  const { method, accept, bytes_max } = input;
  const rules = rulesOf(context.egress);
  const headers = { accept: accept ?? '*/*', 'accept-encoding': ACCEPT_ENCODING, 'user-agent': USER_AGENT };
  const signal = AbortSignal.any([context.signal, limit]);
  let place = placeOf(input.url, rules);
  for (let redirects = 0; ; redirects += 1) {
    try {
      const answer = await send({ ...place, method, headers, signal }, names);
      const { statusCode: status = 0, headers: answered } = answer;
      const { location } = answered;
      if (REDIRECTS.has(status) && location !== undefined) {
        answer.destroy();
        if (redirects === REDIRECTS_MAX) throw new WorkerFault(`more than ${REDIRECTS_MAX} redirects`, false);
        place = placeOf(location, rules, place.url);
        continue;
      }
      const about = { url: input.url, final_url: place.url.href, redirects, status, headers: headersOf(answer) };
      if (method === 'HEAD') {
        answer.destroy();
        return { ...about, size: 0 };
      }
      const bytes = await readBody(answer, bytes_max);
      return { ...about, ...(await keep(bytes, answered['content-type'], context)) };
    } catch (error) {
      throw faultOf(error, place, input, limit);
    }
  }
};

const keep = async (bytes: Buffer, content_type: string | undefined, context: WorkerContext) => {
  const media_type =
    content_type !== undefined && MEDIA_TYPE.test(content_type) ? content_type : 'application/octet-stream';
  const artifact = await context.put_artifact('body', media_type, bytes);
  return { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length, artifact };
};

export const fetching =
  (names: Names): Execute<'http.fetch'> =>
  async ({ input }, context) => {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), input.timeout_seconds * MS_PER_SECOND);
    try {
      return await follow(input, context, names, limit.signal);
    } finally {
      clearTimeout(timer);
    }
  };

export const httpFetch = builtinPlugin('http.fetch', fetching(SYSTEM_NAMES));
