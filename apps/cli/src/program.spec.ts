import { describe, expect, it } from '@jest/globals';
import { CommanderError, type Command } from 'commander';
import { makeProgram, type Actions } from './program.js';

const silence = (command: Command): void => {
  command.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  command.commands.forEach(silence);
};

/** What was understood of a command line: the action and what it was given. */
const understood = async (...words: string[]): Promise<unknown[]> => {
  const calls: unknown[][] = [];
  const actions = new Proxy({} as Actions, {
    get:
      (_, name) =>
      (...given: unknown[]) =>
        void calls.push([name, ...given]),
  });
  const program = makeProgram(actions, '1.2.3');
  silence(program);
  await program.parseAsync(words, { from: 'user' });
  expect(calls.length).toBe(1);
  return calls[0] ?? [];
};

const refusal = async (...words: string[]): Promise<string> => {
  try {
    await understood(...words);
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
  throw new Error('it was understood');
};

describe('mission create', () => {
  it('takes all that a mission can be made of', async () => {
    const [action, options, globals] = await understood(
      ...['--json', 'mission', 'create', '--goal', 'Go', '--template', 't', '--param', 'path=/a=b', '--param', 'n:=1'],
      ...['--rank', 'A', '--category', 'coin', '--priority', '-5', '--tag', 'x', '--tag', 'y', '--hold', '--plan', '-'],
      ...['--idempotency-key', 'k', '--data-dir', '/d'],
    );
    expect(action).toBe('createMission');
    expect(options).toEqual({
      ...{ goal: 'Go', template: 't', rank: 'A', category: 'coin', priority: -5, tag: ['x', 'y'], hold: true },
      param: [
        { name: 'path', value: '/a=b' },
        { name: 'n', value: 1 },
      ],
      ...{ plan: '-', idempotencyKey: 'k' },
    });
    expect(globals).toMatchObject({ json: true, dataDir: '/d' });
  });

  it.each([
    [['--wait'], true],
    [['--wait=2.5'], 2.5],
    [['--wait', '10'], 10],
  ])('understands %j', async (words, wait) => {
    expect((await understood('mission', 'create', '--goal', 'g', ...words))[1]).toEqual({ goal: 'g', wait });
  });

  it.each([
    [['--param', 'x']],
    [['--param', '=1']],
    [['--param', 'x:={']],
    [['--rank', 'Z']],
    [['--wait=0']],
    [['--wait=-1']],
    [['--priority', '1.5']],
    [['--operator-key', 'secret']],
    [['surplus']],
  ])('refuses %j', async (words) => {
    expect(await refusal('mission', 'create', '--goal', 'g', ...words)).toMatch(/^error: /);
  });

  it('needs a goal', async () => expect(await refusal('mission', 'create')).toContain('--goal'));
});

describe('a verb', () => {
  it.each(['approve', 'run', 'cancel'])('%s takes a reason and needs none', async (verb) => {
    expect(await understood('mission', verb, 'msn_1')).toEqual(['ruleMission', verb, 'msn_1', {}, {}]);
    const reasoned = await understood('mission', verb, 'msn_1', '--reason', 'because');
    expect(reasoned).toMatchObject(['ruleMission', verb, 'msn_1', { reason: 'because' }, {}]);
  });

  it('deny needs its reason', async () => expect(await refusal('mission', 'deny', 'msn_1')).toContain('--reason'));
});

describe('the rest', () => {
  it('takes options before and after the command', async () => {
    const before = await understood('--timeout', '3', 'status');
    const after = await understood('status', '--timeout=3');
    expect(before).toEqual(after);
    expect(before).toMatchObject(['showStatus', { timeout: 3 }]);
  });

  it('asks for what waits unless told otherwise', async () => {
    expect((await understood('approvals'))[1]).toEqual({ status: 'pending' });
  });

  it('explains its exit codes', async () => expect(await understood('help', 'exit-codes')).toEqual(['helpExitCodes']));

  it.each([[[]], [['nonsense']], [['mission']], [['mission', 'nonsense']], [['help', 'nonsense']], [['--json=1']]])(
    'does not understand %j',
    async (words) => expect(await refusal(...words)).toMatch(/^error: |^nexusmon: |^\(outputHelp\)$/),
  );
});
