import { describe, expect, it } from '@jest/globals';
import { recordUpload } from './index.js';

const mission_id = 'msn_01a1f930-8d95-7333-899f-86bbb72360f2';
const artifact_id = mission_id.replace('msn', 'art');
const request = {
  asked: { actor: 'operator:owner', command_id: mission_id.replace('msn', 'cmd') },
  ...{ name: 'notes/report.md', sha256: 'a'.repeat(64), size: 5, media_type: 'text/plain', inputs: [] as string[] },
};
const isTaken = (over: Partial<typeof request>) => recordUpload.safeParse({ ...request, ...over }).success;

describe('an upload', () => {
  it.each([mission_id, `${mission_id}/compose/report.md`])('is never named %s', (name) => {
    expect(isTaken({ name })).toBe(false);
  });

  it.each(['report.md', `about/${mission_id}/report.md`, `${mission_id}.md`, 'msn_1/report.md'])(
    'may be named %s',
    (name) => expect(isTaken({ name })).toBe(true),
  );

  it('names what it was made from once', () => {
    expect(isTaken({ inputs: [artifact_id] })).toBe(true);
    expect(isTaken({ inputs: [artifact_id, artifact_id] })).toBe(false);
  });
});
