import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

describe('the client', () => {
  it('is what the routes of the gateway make of it (node tools/client.mjs)', () => {
    // In a process of its own: the generator brings a compiler.
    const check = () =>
      execFileSync(process.execPath, [join(ROOT, 'tools/client.mjs'), '--check'], { encoding: 'utf8' });
    expect(check()).toBe('');
  });

  it('has no code that was generated but the table of routes', () => {
    const types = read('libs/client/src/generated/types.gen.ts');
    expect(types.match(/^(?!export type |[ }]|\/\*\*|\s*\*|\/\/|$).*$/gm)).toBeNull();
    expect(types).not.toMatch(/\bany\b(?!.*\*)[;>\],]/);
  });
});
