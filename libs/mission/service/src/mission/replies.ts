import type { MissionRejection } from '@nexusmon/mission-domain';
import type { KeyReused } from '@nexusmon/event-log';
import type { Refusal, Reply } from '@nexusmon/shared-contract';

const DETAILS: Record<(MissionRejection | KeyReused)['code'], string> = {
  'mission-not-found': 'there is no such mission',
  'mission-exists': 'there is another mission of this id',
  'operator-key-required': 'the mission awaits an approval, and starting it now takes the operator key',
  'verdict-required': 'the mission has not been judged',
  'approval-mismatch': 'the mission awaits another approval than this one',
  'illegal-transition': 'the mission cannot do this from where it stands',
  'plan-incomplete': 'inputs are neither in the plan nor in its enclosure',
  'plan-underrated': 'the plan is riskier than its rank says',
  'verdict-mismatch': 'the verdict is for something else',
  'permit-mismatch': 'the permit is for something else',
  'permit-expired': 'the permit has expired',
  'grant-required': 'the task may not start without a grant',
  'task-not-found': 'the mission has no such task',
  'task-not-ready': 'the task cannot start now',
  'stale-attempt': 'another attempt has taken its place',
  'idempotency-key-reused': 'this Idempotency-Key stands for another request',
};

export const refusalOf = (rejection: MissionRejection | KeyReused): Refusal => {
  const { code, ...facts } = rejection;
  return { code, detail: DETAILS[code], ...(Object.keys(facts).length > 0 ? { facts } : {}) };
};

export const notFound: Reply<never> = {
  kind: 'refused',
  refusal: { code: 'mission-not-found', detail: DETAILS['mission-not-found'] },
};
