import { describe, expect, it } from '@jest/globals';
import type { Json } from '@nexusmon/kernel';
import { specify } from '@nexusmon/testing';
import fc from 'fast-check';
import { enclosed, isDerived, opened } from './enclosing.js';
import { toDocument } from './mission.document.js';
import { mission } from './mission.js';
import { chain, create, derived, grant, high, task } from './mission.scenes.js';
import { exists, type ExistingMission } from './mission.state.js';
import { acceptableGrants } from './mission.tasks.js';

const { given } = specify(mission);

const enclosure = { sha256: 'f'.repeat(64), size: 100_000 };

/** The command that creates the same mission with everything large in its enclosure. */
const enclosing = (command = create()): typeof command => {
  const { params, ...request } = command.data.request;
  expect(params).toBeDefined();
  const tasks = chain.map(enclosed);
  return {
    ...command,
    data: { ...command.data, request: { ...request, enclosure }, plan: { ...command.data.plan, tasks } },
  };
};

const stateOf = (
  command: ReturnType<typeof create>,
  ...later: Parameters<typeof mission.decide>[0][]
): ExistingMission => {
  const state = [command, ...later].reduce((before, each) => {
    const decision = mission.decide(each, before);
    return decision.kind === 'accepted' ? decision.events.reduce(mission.evolve, before) : before;
  }, mission.initial);
  if (!exists(state)) throw new Error('no mission');
  return state;
};

describe('a mission whose inputs are enclosed', () => {
  it('is created like any other (N1)', () =>
    expect(mission.decide(enclosing(), mission.initial)).toMatchObject({ kind: 'accepted' }));

  const whole = create().data;
  const outside = enclosing().data;
  it.each([
    ['its parameters are missing', { ...whole, request: enclosing().data.request, plan: whole.plan }],
    ['its parameters stand in both places', { ...outside, request: { ...whole.request, enclosure } }],
    ['an input is missing', { ...whole, plan: outside.plan }],
    [
      'an input stands in both places',
      { ...outside, plan: { ...outside.plan, tasks: [...outside.plan.tasks.slice(1), task('one')] } },
    ],
    [
      'a task does not say that its input is enclosed',
      {
        ...outside,
        plan: {
          ...outside.plan,
          tasks: outside.plan.tasks.map(({ enclosed: gone, ...rest }) => (gone ? rest : { ...rest, input: 1 })),
        },
      },
    ],
  ])('is refused when %s (N1, M11)', (_, data) =>
    given()
      .when({ ...create(), data })
      .thenRejected({ code: 'plan-incomplete' }),
  );

  it('needs the same grants as one whose inputs are not (N2)', () => {
    const granted = grant({ shape: false });
    const [open, shut] = [stateOf(create(high), granted), stateOf(enclosing(create(high)), granted)];
    expect(shut.approval).toMatchObject({ status: 'granted' });
    expect(shut.tasks.map((each) => acceptableGrants(shut, each))).toEqual(
      open.tasks.map((each) => acceptableGrants(open, each)),
    );
    expect(open.tasks.map((each) => acceptableGrants(open, each))).toContainEqual([]);
  });

  it('says of every input whether it is derived, as the input itself does (N2)', () =>
    fc.assert(
      fc.property(fc.jsonValue(), fc.boolean(), (value, refers) => {
        const input = (refers ? [value, { deep: derived }] : value) as Json;
        const planned = task('two', { input });
        expect(isDerived(enclosed(planned))).toBe(isDerived(planned));
      }),
    ));

  it('is, once opened, like one that was never enclosed (N3)', () => {
    const content = { params: whole.request.params ?? {}, inputs: chain.map(({ input }) => input) };
    const again = opened(stateOf(enclosing()), content);
    const document = again && toDocument(again, 'opened');
    expect(document).toEqual({ ...toDocument(stateOf(create())), enclosure: { ...enclosure, status: 'opened' } });
  });

  it('is not opened with what belongs to another plan (N3)', () =>
    expect(opened(stateOf(enclosing()), { params: {}, inputs: [1] })).toBeUndefined());

  it('shows that it was not opened', () => {
    const document = toDocument(stateOf(enclosing()));
    expect(document.enclosure).toEqual({ ...enclosure, status: 'left_out' });
    expect(document).not.toHaveProperty('params');
    for (const each of document.tasks) expect(each).not.toHaveProperty('input');
  });
});
