import { describe, expect, it } from '@jest/globals';
import type { Json } from '@nexusmon/kernel';
import { createBody, parseTemplate, plannedTask, type CreateBody } from '@nexusmon/mission-contract';
import type { Rank } from '@nexusmon/shared-contract';
import { briefScoutInput, builtinContracts, repositorySurveyInput } from '@nexusmon/worker-contract';
import fc from 'fast-check';
import { planMission, type WorkerFacts } from './plan.js';
import { highestRank, isBelow } from './rank.js';
import { templates } from './templates.js';

const worker = (name: string, over: Partial<WorkerFacts> = {}): WorkerFacts => ({
  name,
  version: '1.0.0',
  digest: 'a'.repeat(64),
  description: 'does',
  capabilities: ['do'],
  risk_level: 'E',
  requires_approval: false,
  timeout_seconds: 30,
  ...over,
});
const builtin = Object.entries(builtinContracts).map(([name, { capabilities, risk_level, timeout_seconds }]) =>
  worker(name, { capabilities: [...capabilities], risk_level, timeout_seconds }),
);
const workers = [...builtin, worker('risky', { risk_level: 'A', requires_approval: true })];

const bodyOf = (fields: object): CreateBody => createBody.parse({ goal: 'try', ...fields });
const plan = (tasks: readonly object[], fields: object = {}) =>
  planMission({ body: bodyOf({ plan: { tasks }, ...fields }) }, workers);
const echo = (task_id: string, fields: object = {}) => ({
  task_id,
  worker: 'system.echo',
  input: { value: 1 },
  ...fields,
});
const refused = (...paths: string[]) => ({
  kind: 'refused',
  errors: paths.map((path) => expect.objectContaining({ path })),
});

describe('a plan', () => {
  it('gets its defaults from the contract and from the worker', () => {
    const planned = plan([
      echo('a'),
      echo('b', { depends_on: ['a', 'a'], retry: { max_attempts: 1 }, timeout_seconds: 5 }),
    ]);
    expect(planned).toMatchObject({
      kind: 'planned',
      plan_source: 'request',
      rank: 'E',
      effective_rank: 'E',
      tasks: [
        {
          task_id: 'a',
          worker_version: '1.0.0',
          retry: { max_attempts: 3, backoff_seconds: 1 },
          timeout_seconds: 30,
          verifies: false,
        },
        { task_id: 'b', depends_on: ['a'], retry: { max_attempts: 1, backoff_seconds: 1 }, timeout_seconds: 5 },
      ],
    });
    if (planned.kind === 'planned') planned.tasks.forEach((task) => plannedTask.parse(task));
  });

  it('is never less risky than its workers, nor less guarded (P1, P4)', () =>
    expect(plan([{ task_id: 'a', worker: 'risky', risk_level: 'E' }], { rank: 'E' })).toMatchObject({
      rank: 'E',
      effective_rank: 'A',
      tasks: [{ risk_level: 'A', requires_approval: true }],
    }));
  it('may be called riskier than its workers (P4)', () => {
    expect(plan([echo('a')], { rank: 'S' })).toMatchObject({ rank: 'S', effective_rank: 'S' });
    expect(plan([echo('a', { risk_level: 'B' })])).toMatchObject({ rank: 'B', effective_rank: 'B' });
  });

  it('names workers that are installed (P1)', () =>
    expect(plan([echo('a'), echo('b'), echo('c', { worker: 'nobody' })])).toEqual(refused('plan/tasks/2/worker')));
  it('names each task once (P2)', () => expect(plan([echo('a'), echo('a')])).toEqual(refused('plan/tasks/1/task_id')));
  it('depends on its own tasks only (P2)', () =>
    expect(plan([echo('a', { depends_on: ['b', 'z'] }), echo('b')])).toEqual(refused('plan/tasks/0/depends_on/1')));
  it('has no cycle (P2)', () =>
    expect(
      plan([
        echo('x'),
        echo('a', { depends_on: ['x', 'c'] }),
        echo('b', { depends_on: ['a'] }),
        echo('c', { depends_on: ['b'] }),
      ]),
    ).toEqual({
      kind: 'refused',
      errors: [{ path: 'plan/tasks/1/depends_on', message: 'cycle: a → c → b → a' }],
    }));
  it('has no task that depends on itself (P2)', () =>
    expect(plan([echo('a', { depends_on: ['a'] })])).toMatchObject({ errors: [{ message: 'cycle: a → a' }] }));
  it('names the cycle and not the way to it (P2)', () =>
    expect(
      plan([echo('a', { depends_on: ['b'] }), echo('b', { depends_on: ['c'] }), echo('c', { depends_on: ['b'] })]),
    ).toMatchObject({
      errors: [{ path: 'plan/tasks/1/depends_on', message: 'cycle: b → c → b' }],
    }));

  it('refers to what a task depends on, also through others (P3)', () => {
    const input = { value: { $output: 'a' } };
    expect(plan([echo('a'), echo('b', { depends_on: ['a'] }), echo('c', { depends_on: ['b'], input })])).toMatchObject({
      kind: 'planned',
    });
    expect(plan([echo('a'), echo('c', { input })])).toEqual(refused('plan/tasks/1/input/value'));
    expect(plan([echo('a', { input })])).toEqual(refused('plan/tasks/0/input/value'));
  });
  it('refers in the one form there is (P3)', () =>
    expect(plan([echo('a'), echo('b', { depends_on: ['a'], input: [{ $output: 'a', pointer: 'x' }] })])).toEqual(
      refused('plan/tasks/1/input/0'),
    ));

  it('has no more tasks than it may (P5)', () => {
    expect(plan([echo('a'), echo('b')], { constraints: { max_steps: 1 } })).toEqual(refused('plan/tasks'));
    expect(plan([echo('a'), echo('b')], { constraints: { max_steps: 2 } })).toMatchObject({ kind: 'planned' });
  });
  it('tells all that is wrong at once', () =>
    expect(plan([echo('a', { worker: 'nobody' }), echo('a', { depends_on: ['z'] })])).toEqual(
      refused('plan/tasks/0/worker', 'plan/tasks/1/task_id', 'plan/tasks/1/depends_on/0'),
    ));

  it('is accepted exactly when its tasks can be put in order (P2)', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const anyEdges = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 8 });
    fc.assert(
      fc.property(anyEdges, (edges) => {
        const needs = names.map((name, index) =>
          edges.flatMap(([from, to]) => (from === index ? [names[to] ?? name] : [])),
        );
        const done = new Set<string>();
        names.forEach(() =>
          names.forEach((name, index) => needs[index]?.every((needed) => done.has(needed)) && done.add(name)),
        );
        const planned = plan(names.map((name, index) => echo(name, { depends_on: needs[index] })));
        expect(planned.kind).toBe(done.size === names.length ? 'planned' : 'refused');
      }),
    );
  });

  it('has as its effective rank the highest there is (P4)', () => {
    const anyRank = fc.constantFrom<Rank>('E', 'D', 'C', 'B', 'A', 'S');
    fc.assert(
      fc.property(
        fc.array(anyRank, { minLength: 1, maxLength: 5 }),
        fc.option(anyRank, { nil: undefined }),
        (risks, rank) => {
          const planned = plan(
            risks.map((risk_level, index) => echo(`t${index}`, { risk_level })),
            rank ? { rank } : {},
          );
          if (planned.kind !== 'planned') throw new Error('refused');
          expect(planned.effective_rank).toBe(highestRank(rank ? [...risks, rank] : risks));
          for (const risk of risks) expect(isBelow(planned.effective_rank, risk)).toBe(false);
        },
      ),
    );
  });
});

describe('a template', () => {
  const called = (params: { [key: string]: Json }) => parseTemplate('repository-report', params);

  it('is known by its name', () => {
    expect(parseTemplate('nothing', {})).toEqual(refused('template'));
    expect(parseTemplate('constructor', {})).toEqual(refused('template'));
  });
  it('takes its own parameters and no others', () => {
    expect(called({ path: '.' })).toEqual({ kind: 'call', call: { name: 'repository-report', params: { path: '.' } } });
    expect(called({})).toEqual(refused('params/path'));
    expect(called({ path: 5 })).toEqual(refused('params/path'));
    expect(called({ path: '.', more: 1 })).toEqual(refused('params'));
  });
  it('describes every parameter that it takes', () =>
    expect(Object.keys(templates['repository-report'].params)).toEqual(['path']));

  const report = { name: 'repository-report', params: { path: '/some/where' } } as const;
  it('plans survey, report and verification at low risk', () => {
    const planned = planMission({ body: bodyOf({}), template: report }, workers);
    expect(planned).toMatchObject({
      kind: 'planned',
      plan_source: 'template',
      rank: 'D',
      effective_rank: 'D',
      tasks: [
        { task_id: 'survey', worker: 'repository.survey', input: { path: '/some/where' }, verifies: false },
        { task_id: 'compose', worker: 'report.compose', depends_on: ['survey'], verifies: false },
        { task_id: 'verify', worker: 'report.verify', depends_on: ['survey', 'compose'], verifies: true },
      ],
    });
    if (planned.kind === 'planned') repositorySurveyInput.parse(planned.tasks[0]?.input);
  });
  it('says so when what it needs is not installed', () =>
    expect(planMission({ body: bodyOf({}), template: report }, [])).toEqual(
      refused('template', 'template', 'template'),
    ));
  it('is held to max_steps like any plan (P5)', () =>
    expect(planMission({ body: bodyOf({ constraints: { max_steps: 2 } }), template: report }, workers)).toEqual(
      refused('constraints/max_steps'),
    ));
});

describe('a free goal', () => {
  const planned = (fields: object) => planMission({ body: bodyOf({ goal: 'earn money', ...fields }) }, workers);

  it('is answered by Scout, Builder and Verify', () =>
    expect(planned({ category: 'coin', constraints: { max_time_seconds: 60, max_steps: 3 } })).toMatchObject({
      kind: 'planned',
      plan_source: 'planner',
      effective_rank: 'E',
      tasks: [
        { worker: 'brief.scout', verifies: false },
        { worker: 'brief.build', depends_on: ['scout'], verifies: false },
        { worker: 'brief.verify', depends_on: ['scout', 'build'], verifies: true },
      ],
    }));
  it('tells the Scout what is known and which sources were given', () => {
    const found = planned({ params: { sources: ['docs', '', 5, 'x'.repeat(5_000)], other: 1 } });
    const input = briefScoutInput.parse(found.kind === 'planned' ? found.tasks[0]?.input : undefined);
    expect(input).toMatchObject({
      goal: 'earn money',
      sources: ['docs'],
      known: { templates: [{ name: 'repository-report' }] },
    });
    expect(input.known.workers.map(({ name }) => name)).toContain('repository.survey');
  });
  it('names no sources where none were given', () => {
    const found = planned({});
    expect(found.kind === 'planned' ? found.tasks[0]?.input : undefined).not.toHaveProperty('sources');
  });
});
