import { describe, expect, it } from '@jest/globals';
import { builtinContracts, workerManifest } from '@nexusmon/worker-contract';
import { z } from 'zod';
import { builtinWorkers } from './index.js';
import { memoryContext, run } from './memory-context.fixture.js';

describe('the built-in workers', () => {
  it('are those of the contract, with the same words (W1)', () => {
    expect(builtinWorkers.map(({ name }) => name).sort()).toEqual(Object.keys(builtinContracts).sort());
    for (const { execute: _execute, name, ...words } of builtinWorkers)
      expect(words).toEqual(builtinContracts[name as keyof typeof builtinContracts]);
  });

  it.each(builtinWorkers)('$name has a manifest with schemas that JSON Schema can say', (worker) => {
    const { name, version, description, capabilities, risk_level, requires_approval, timeout_seconds } = worker;
    const manifest = workerManifest.parse({
      ...{ name, version, description, capabilities, risk_level, requires_approval, timeout_seconds },
      digest: '0'.repeat(64),
      input_schema: z.toJSONSchema(worker.input, { io: 'input', unrepresentable: 'any' }),
      output_schema: z.toJSONSchema(worker.output, { unrepresentable: 'any' }),
    });
    expect(manifest.risk_level).toMatch(/^[EDC]$/);
  });

  it('echo gives back any JSON as it is', async () => {
    for (const value of [null, false, 0, '', 'text', [], {}, { a: [1, { b: null }] }])
      expect(await run('system.echo', { value }, memoryContext([]))).toEqual({ value });
  });

  it('refuse an input that is not theirs', async () => {
    await expect(run('system.echo', { value: '\u0000' }, memoryContext([]))).rejects.toThrow('U+0000');
  });
});
