import { describe, expect, it } from '@jest/globals';
import { missionDocument, type MissionDocument } from '@nexusmon/mission-contract';
import { ANSWER_BYTES_MAX, INLINE_BYTES_MAX } from '@nexusmon/shared-contract';
import fc from 'fast-check';
import { fitted } from './document-size.js';

const MISSION_ID = 'msn_01890000-0000-7000-8000-000000000000';
const completed: MissionDocument = {
  ...{ mission_id: MISSION_ID, goal: 'Say it', category: 'forge', rank: 'E', effective_rank: 'E', status: 'completed' },
  ...{ plan_source: 'request', plan_digest: 'a'.repeat(64), tasks: [], constraints: {}, hold: false, priority: 0 },
  ...{ tags: [], created_at: '2026-01-01T00:00:00.000Z', requested_by: 'operator:owner', links: {} },
};
const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value));

/** A mission whose tasks have outputs of these sizes, the quotes included; undefined for none. */
const withOutputs = (sizes: readonly (number | undefined)[]): MissionDocument => {
  const outputs = sizes.map((size) => (size === undefined ? {} : { output: 'x'.repeat(size - 2) }));
  const tasks = outputs.map((output, index) => ({
    ...{ task_id: `t${index}`, worker: 'system.echo', status: 'completed' as const, attempt: 1, tries: 1 },
    ...{ risk_level: 'E' as const, requires_approval: false, depends_on: [], timeout_seconds: 60, artifacts: [] },
    ...output,
  }));
  const repeated = Object.fromEntries(outputs.map(({ output = null }, index) => [`t${index}`, output]));
  const result = { kind: 'outputs' as const, fulfilled: true, artifacts: [], output: repeated };
  return { ...completed, tasks, result };
};

describe('a document', () => {
  it('that fits is as it is (Z1)', () => {
    const document = withOutputs([10, 20, undefined]);
    expect(fitted(document)).toBe(document);
    expect(fitted(document, bytesOf(document))).toBe(document);
  });

  it('that is too large loses what its result repeats first (Z1)', () => {
    const document = withOutputs([INLINE_BYTES_MAX, 5_000]);
    const { tasks, result } = fitted(document, bytesOf(document) - 1);
    expect(tasks).toEqual(document.tasks);
    expect(result).not.toHaveProperty('output');
    expect(result?.output_bytes).toBe(bytesOf(document.result?.output));
  });

  it('that is too large for all outputs has the smaller ones, in their places (Z1)', () => {
    const document = withOutputs([30_000, 40_000, 20_000, undefined]);
    const whole = bytesOf({ ...document, result: undefined });
    const { tasks } = fitted(document, whole - 30_000);
    expect(tasks.map(({ output, output_bytes }) => [bytesOf(output ?? ''), output_bytes])).toEqual([
      [30_000, undefined],
      [2, 40_000],
      [20_000, undefined],
      [2, undefined],
    ]);
    expect(missionDocument.parse(fitted(document, whole - 30_000)).tasks).toHaveLength(4);
  });

  it('that holds its opened inputs is looked at, however few tasks it has (Z1)', () => {
    const opened = { ...withOutputs([60_000]), enclosure: { sha256: 'a'.repeat(64), size: 1, status: 'opened' } };
    const document = { ...opened, params: { text: 'x'.repeat(ANSWER_BYTES_MAX - 50_000) } } as MissionDocument;
    expect(fitted(document).tasks[0]?.output_bytes).toBe(60_000);
  });

  it('of the largest mission there can be is never larger than an answer, and leaves nothing else out (Z1)', () => {
    const size = fc.option(fc.integer({ min: 2, max: INLINE_BYTES_MAX }), { nil: undefined });
    const sizes = fc.array(size, { minLength: 1, maxLength: 256, size: 'max' });
    fc.assert(
      fc.property(sizes, (given) => {
        const document = withOutputs(given);
        const shown = fitted(document);
        expect(bytesOf(shown)).toBeLessThanOrEqual(ANSWER_BYTES_MAX);
        for (const [index, task] of document.tasks.entries()) {
          const { output, output_bytes, ...rest } = shown.tasks[index] ?? task;
          expect({ ...rest, output: output_bytes === undefined ? output : task.output }).toEqual({
            ...{ ...task, output: task.output },
          });
        }
      }),
      { numRuns: 20 },
    );
  });
});
