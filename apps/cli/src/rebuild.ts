// Projections built again from the log, watched until it is known whether they are the same.

import { ApiProblem, type Projection } from '@nexusmon/client';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from './exit-codes.js';
import { CliFault } from './fault.js';
import type { Output } from './output.js';
import type { RebuildOptions } from './program.js';
import type { Session } from './session.js';

const LOOK_EVERY_MS = 300;
const DIGEST_DIGITS = 12;

const progressText = ({ name, rebuild }: Projection): string => {
  if (!rebuild) return name;
  const { phase = rebuild.status, percent, events, events_per_second } = rebuild;
  return `${name}: ${phase} ${Math.round(percent)} %, ${events} events, ${Math.round(events_per_second)}/s`;
};

/** One that is under way already is watched to its end. */
const begin = async ({ gateway, output }: Session, projection: string, check: boolean): Promise<void> => {
  const path = { projection };
  try {
    await gateway.call('POST /v1/system/projections/{projection}/rebuild', { path, body: { check } });
  } catch (error) {
    if (!(error instanceof ApiProblem) || error.document.code !== 'rebuild-running') throw error;
    output.say(`${projection} is being rebuilt already`);
  }
};

const rebuilt = async (session: Session, projection: string, check: boolean): Promise<Projection> => {
  const { gateway, output, signal } = session;
  await begin(session, projection, check);
  for (;;) {
    const { body } = await gateway.call('GET /v1/system/projections/{projection}', { path: { projection } });
    output.progress(progressText(body));
    if (body.rebuild?.status !== 'running') return body;
    await pause(LOOK_EVERY_MS, undefined, { signal });
  }
};

const namesOf = async ({ gateway }: Session, name: string | undefined, all: boolean): Promise<readonly string[]> => {
  if ((name === undefined) === !all)
    throw new CliFault({
      code: 'usage',
      what: 'one projection is named, or all are meant',
      next: 'nexusmon rebuild <name>, or --all',
      exit: EXIT.usage,
    });
  if (name !== undefined) return [name];
  const { body } = await gateway.call('GET /v1/system/projections');
  return body.data.map((projection) => projection.name);
};

const digestText = (digest: string | undefined): string => digest?.slice(0, DIGEST_DIGITS) ?? '';

const tableOf = (output: Output, projections: readonly Projection[]): string =>
  output.table([
    ['PROJECTION', 'REBUILT', 'EVENTS', 'LIVE', 'REBUILT TO', 'WHY'],
    ...projections.map(({ name, rebuild }) => [
      ...[name, rebuild?.status ?? 'unknown', String(rebuild?.events ?? '')],
      ...[digestText(rebuild?.live_digest), digestText(rebuild?.rebuilt_digest), rebuild?.reason ?? ''],
    ]),
  ]);

/** A difference that was swapped away has been mended; one that was only looked for is a finding. */
const isFinding = ({ rebuild }: Projection): boolean =>
  rebuild === undefined || rebuild.status === 'failed' || (rebuild.status === 'different' && rebuild.check);

export const rebuild = async (session: Session, name: string | undefined, options: RebuildOptions): Promise<void> => {
  const { output, endWith } = session;
  const [all, check] = [options.all === true, options.check === true];
  const projections: Projection[] = [];
  for (const projection of await namesOf(session, name, all))
    projections.push(await rebuilt(session, projection, check));
  output.progress('');
  output.answer(all ? { data: projections, next_cursor: null } : projections[0], () => tableOf(output, projections));
  if (projections.some(isFinding)) endWith(EXIT.failure);
};
