// Which events a reader asked for, and what is shown of them.

import type { Scope } from '@nexusmon/access-contract';
import type { Commit, RecordedEvent } from '@nexusmon/event-log';
import { cloudEvent, isKeepable, type CloudEvent } from '@nexusmon/shared-contract';
import { z } from 'zod';
import type { Principal } from '../http/route.js';

const TYPES_MAX = 64;
const FILTER_LENGTH_MAX = 4_096;

export const eventFilterQuery = {
  type: z.string().max(FILTER_LENGTH_MAX).optional().describe('Event names or full types, separated by commas.'),
  subject: z.string().max(128).refine(isKeepable).optional().describe('The id of an aggregate.'),
  mission_id: z.string().max(128).refine(isKeepable).optional().describe('Everything that belongs to a mission.'),
};

export type EventFilter = (event: CloudEvent) => boolean;

const nameOf = (type: string): string => type.split('.')[2] ?? type;

export const eventFilter = (
  query: Readonly<{ type?: string | undefined; subject?: string | undefined; mission_id?: string | undefined }>,
): EventFilter => {
  const types = new Set(
    (query.type ?? '')
      .split(',', TYPES_MAX)
      .map((type) => type.trim())
      .filter((type) => type !== ''),
  );
  return (event) =>
    (types.size === 0 || types.has(event.type) || types.has(nameOf(event.type))) &&
    (query.subject === undefined || query.subject === event.subject) &&
    (query.mission_id === undefined || query.mission_id === event.correlationid);
};

/** Whose events a scope shows. What is not named here is for operators alone. */
const SHOWN_BY: Readonly<Record<string, Scope>> = {
  mission: 'missions:read',
  governance: 'missions:read',
  evolution: 'missions:read',
  vault: 'vault:read',
  access: 'admin',
};

/** What a principal may see: an operator everything, an API token what its scopes show. */
export const visibleTo = (principal: Principal): EventFilter => {
  if (principal.kind !== 'token') return () => true;
  const shown = new Set(Object.keys(SHOWN_BY).filter((context) => principal.scopes.includes(SHOWN_BY[context] ?? '')));
  return ({ type }) => shown.has(type.split('.')[1] ?? '');
};

/** A CloudEvent with its data opened, and where it stands in the log. */
export const eventDocument = z
  .strictObject({ ...cloudEvent.shape, position: z.string() })
  .meta({ id: 'Event', description: 'CloudEvents 1.0, data opened; position resumes a stream behind this event.' });
export type EventDocument = z.infer<typeof eventDocument>;

const render = ({ name, version, index, ...event }: RecordedEvent, position: string): EventDocument => {
  void [name, version, index];
  return { ...event, position } as EventDocument;
};

export type Shown = Readonly<{ index: number; document: EventDocument }>;

/** The wanted events of a commit behind `after_index`, opened. What nobody wants is never opened. */
export const shownOf = async (
  commit: Commit,
  wanted: EventFilter,
  positionOf: (index: number) => string,
  after_index = -1,
): Promise<readonly Shown[]> => {
  if (!commit.stored.some((event, index) => index > after_index && wanted(event))) return [];
  const opened = await commit.open();
  return opened
    .filter((event) => event.index > after_index && wanted(event as CloudEvent))
    .map((event) => ({ index: event.index, document: render(event, positionOf(event.index)) }));
};
