import type { Approval } from '@nexusmon/client';
import { EXIT, EXIT_MEANINGS } from './exit-codes.js';
import { CliFault } from './fault.js';
import { readInput } from './input.js';
import { listPages, type PageQuery } from './pages.js';
import type { ApprovalListOptions } from './program.js';
import type { Session } from './session.js';
import { jsonText, plainLine, plainText, tableText } from './text.js';

const approvalRows = (approvals: readonly Approval[]): string[][] => [
  ['MISSION', 'RANK', 'STATUS', 'EXPIRES', 'WHAT'],
  ...approvals.map(({ mission_id, rank, status, expires_at, summary }) => [
    ...[mission_id, rank, status, expires_at, summary],
  ]),
];

export const listApprovals = (session: Session, { status, mission, ...paging }: ApprovalListOptions): Promise<void> => {
  const filter = { status: status === 'all' ? undefined : status, mission_id: mission };
  const page = (query: PageQuery) => session.gateway.call('GET /v1/approvals', { query: { ...filter, ...query } });
  return listPages(session, paging, page, approvalRows);
};

export const showStatus = async ({ gateway, output }: Session): Promise<void> => {
  const { body } = await gateway.call('GET /v1/nexusmon/organism/status');
  output.answer(body, () => {
    const { stage, count, xp, next_stage, next_stage_at, missions, queues, health, capabilities } = body;
    const open = capabilities.filter((capability) => capability.open).map(({ capability }) => capability);
    const next = next_stage === undefined ? '' : `; ${next_stage} at ${next_stage_at}`;
    const counted = Object.entries(missions).map(([status, number]) => `${number} ${status}`);
    return tableText([
      ['health', health.status],
      ['stage', `${stage}, count ${count}, ${Math.round(xp * 10) / 10} XP${next}`],
      ['capabilities', open.join(', ') || 'none'],
      ['missions', counted.join(', ') || 'none'],
      ['tasks', `${queues.queued_tasks} queued, ${queues.running_tasks} running, ${queues.runners} runners`],
    ]);
  });
};

const bodyOf = async (data: string): Promise<string> =>
  data === '-' ? readInput('-') : data.startsWith('@') ? readInput(data.slice(1)) : data;

/** As it was answered; a terminal gets no commands from it. */
const printed = (session: Session, text: string, is_json: boolean): string => {
  const { output } = session;
  if (is_json) return `${jsonText(JSON.parse(text) as unknown)}\n`;
  return output.is_terminal ? plainText(text) : text;
};

export const callApi = async (
  session: Session,
  method: string,
  path: string,
  { data }: Readonly<{ data?: string }>,
): Promise<void> => {
  if (!/^[A-Za-z]{1,16}$/.test(method) || !path.startsWith('/') || path.startsWith('//'))
    throw new CliFault({
      code: 'usage',
      what: `${plainLine(method)} ${plainLine(path)} is no request`,
      next: 'nexusmon api GET /v1/workers',
      exit: EXIT.usage,
    });
  const body = data === undefined ? undefined : await bodyOf(data);
  const response = await session.gateway.send({
    method: method.toUpperCase(),
    path,
    ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
  });
  const is_json = response.headers.get('content-type')?.includes('json') === true;
  session.output.raw(printed(session, await response.text(), is_json));
};

export const exitCodesText = (): string =>
  tableText([['CODE', 'MEANING'], ...EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning])]);
