import { execFile } from 'node:child_process';
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type {
  ManifestEntry,
  ReportComposeOutput,
  ReportDocument,
  RepositorySurveyOutput,
  SurveyManifest,
} from '@nexusmon/worker-contract';
import fc from 'fast-check';
import { markdownText } from '../markdown-text.js';
import { memoryContext, put, removeFolder, run, temporaryFolder, writeTree } from '../memory-context.fixture.js';
import type { MemoryContext } from '../memory-context.fixture.js';
import { GIT_SEARCH_PATH } from '../survey/git-history.js';

const FILES = {
  'package.json': '{"license":"MIT","dependencies":{"left-pad":"1.0.0","@s/x":"2"}}',
  'src/a.ts': '// TODO: one\nlet a = 1;\n// FIXME two TODO\n',
  'src/b.md': 'text without an end',
  'src/c.bin': '\0\u0001',
  'pom.xml': '<dependency><groupId>g</groupId><artifactId>h</artifactId></dependency>',
};

let root = '';
let context: MemoryContext;
beforeEach(async () => {
  root = await temporaryFolder();
  context = memoryContext([root]);
  await writeTree(root, FILES);
});
afterEach(() => removeFolder(root));

const git = async (...args: string[]) => {
  const env = { PATH: GIT_SEARCH_PATH, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  const identity = ['-c', 'user.name=Ada', '-c', 'user.email=a@b.c', '-c', 'commit.gpgSign=false'];
  await promisify(execFile)('git', [...identity, ...args], { cwd: root, env });
};

const documentOf = <Document>(artifact_id: string) =>
  JSON.parse(Buffer.from(context.kept.get(artifact_id) ?? []).toString()) as Document;

type Made = { survey: RepositorySurveyOutput; report: ReportComposeOutput };
const made = async (): Promise<Made> => {
  const survey = await run('repository.survey', { path: root }, context);
  return { survey, report: await run('report.compose', { survey }, context) };
};

const verify = ({ survey, report }: Made) => run('report.verify', { path: root, survey, report }, context);

/** What a survey that counted wrong would have left: its manifest, its answer, and a report that repeats both. */
const miscounted = async (
  entries: (files: ManifestEntry[]) => ManifestEntry[],
  change: (survey: RepositorySurveyOutput) => RepositorySurveyOutput = (survey) => survey,
): Promise<Made> => {
  const { survey } = await made();
  const manifest = documentOf<SurveyManifest>(survey.manifest.artifact_id);
  const bytes = Buffer.from(JSON.stringify({ ...manifest, files: entries(manifest.files) }));
  const wrong = change({ ...survey, manifest: put(context.kept, 'manifest.json', 'application/json', bytes) });
  return { survey: wrong, report: await run('report.compose', { survey: wrong }, context) };
};

const withEntry = (path: string, change: Partial<ManifestEntry>) => (files: ManifestEntry[]) =>
  files.map((file) => (file.path === path ? { ...file, ...change } : file));

const IS_ROOT = process.getuid?.() === 0;
const WHY_NOT_ROOT = IS_ROOT ? ' [skipped: root may read every file]' : '';

describe('a report', () => {
  it('states the figures of the survey, as plain digits, in Markdown and JSON', async () => {
    await writeFile(join(root, 'big.txt'), 'x\n'.repeat(617_000));
    const { survey, report } = await made();
    const markdown = Buffer.from(context.kept.get(report.report_markdown.artifact_id) ?? []).toString();
    expect(markdown).toContain('| Bytes of the largest file | 1234000 |');
    expect(markdown).toContain(`| Files | ${survey.file_count} |`);
    expect(markdown).toContain('| src/a.ts | 3 | FIXME | // FIXME two TODO |');
    const document = documentOf<ReportDocument>(report.report_json.artifact_id);
    expect(document.figures).toEqual(report.figures);
    expect(document.survey).toEqual(survey);
    expect(report.figures).toMatchObject({ todo_count: 3, dependency_count: 3, file_count: 6 });
  });

  it('is the same for the same survey', async () => {
    const { survey, report } = await made();
    const again = await run('report.compose', { survey }, context);
    expect(again.report_markdown.sha256).toBe(report.report_markdown.sha256);
    expect(again.report_json.sha256).toBe(report.report_json.sha256);
  });

  it('lets no name or message become markup (M1, M2)', async () => {
    const name = '<img src=x onerror=y>|`a`\n# h [l](http:⁄⁄x) ![i](y) \u202egpj';
    await writeTree(root, { [name]: 'TODO | <script>alert(1)</script> http://evil.example\n' });
    const { report } = await made();
    const markdown = Buffer.from(context.kept.get(report.report_markdown.artifact_id) ?? []).toString();
    expect(markdown).not.toMatch(/<img|<script|\u202e|(?<!\\)\]\(|[^;]\/\/evil/);
    const cells = (line: string) => line.replaceAll('\\|', '').split('|').length;
    const table = markdown.slice(markdown.indexOf('| Path | Line |')).split('\n\n', 1)[0]?.split('\n') ?? [];
    expect(new Set(table.map(cells))).toEqual(new Set([6]));
  });
});

describe('foreign text in Markdown', () => {
  it('never holds a line end, a bare bar, or a bare angle bracket', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.oneof(fc.constantFrom(...'<>|\\`\n\r&*_[]()#!\u202e'), fc.string({ unit: 'binary', maxLength: 1 })),
        }),
        (text) => {
          const shown = markdownText(text);
          expect(shown).not.toMatch(/[<>\n\r\u2028\u2029\u202a-\u202e]/);
          expect(shown.replace(/\\[^A-Za-z0-9]/g, '')).not.toMatch(/[|`*_[\]\\~$]/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('leaves plain names plain', () => {
    expect(markdownText('src/my-file.spec.ts')).toBe('src/my-file.spec.ts');
    expect(markdownText('@scope/name 1.2.3-rc.1+b')).toBe('@scope/name 1.2.3-rc.1+b');
    expect(markdownText('>=1.0 (a) #5 !x')).toBe('&gt;=1.0 (a) #5 !x');
    expect(['# a', '- a', '1. a', '12) a'].map(markdownText)).toEqual(['\\# a', '\\- a', '1\\. a', '12\\) a']);
    expect(markdownText('__init__.py')).toBe('\\_\\_init\\_\\_.py');
    expect(markdownText('see https://x.y or www.z.org')).toBe('see https&#58;//x.y or www&#46;z.org');
  });
});

describe('a verification', () => {
  it('agrees with a report that is right (V1)', async () => {
    const result = await verify(await made());
    expect(result).toMatchObject({ verified: true, drift_count: 0, drift: [] });
    expect(result.checked).toMatchObject({ files: 5, todos: 3, todo_places: 3, dependencies: 3, markdown_figures: 11 });
  });

  it('agrees on an empty folder, on odd names and on commits', async () => {
    for (const path of Object.keys(FILES)) await rm(join(root, path));
    expect(await verify(await made())).toMatchObject({ verified: true, checked: { files: 0 } });
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x0a])]), 'TODO');
    await writeTree(root, { 'a\\b': 'x', '-rf': '', 'ä/ö': 'FIXME\n' });
    await git('init');
    await git('add', '.');
    await git('commit', '--no-verify', '-m', `${'A long subject '.repeat(30)}\n\nbody`);
    expect(await verify(await made())).toMatchObject({ checked: { files: 4, commits: 1, todos: 2 }, drift_count: 0 });
  });

  it('agrees with the survey on any bytes', async () => {
    const words = ['TODO', 'FIXME', '_', ' ', '\n', 'é', '\r', 'a', '—', '語', '😀'].map((word) => Buffer.from(word));
    const broken = [
      [0xc3],
      [0xe2, 0x89],
      [0xff],
      [0xa9],
      [0xed, 0xa0, 0x80],
      [0xc1, 0x94],
      [0xe0, 0x81, 0x94],
      [0xf4, 0x90, 0x80, 0x80],
    ].map((bad) => Buffer.from(bad));
    const pieces = fc.array(fc.constantFrom(...words, ...words, ...broken), { maxLength: 40 });
    const any = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    const bytes = fc.oneof(
      pieces.map((parts) => Buffer.concat(parts)),
      any,
    );
    const filled = fc.tuple(fc.constantFrom(0, 8189, 8190, 8191, 8192, 262_140), bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(filled, { maxLength: 4 }), async (contents) => {
        for (const [index, [length, tail]] of contents.entries())
          await writeFile(join(root, `file${index}`), Buffer.concat([Buffer.alloc(length, 'a\n'), tail]));
        expect(await verify(await made())).toMatchObject({ verified: true, drift_count: 0 });
      }),
      { numRuns: 30 },
    );
  });

  const planted: [string, () => Promise<Made>, string][] = [
    [
      'lines of a file',
      () => miscounted(withEntry('src/a.ts', { lines: 4 })),
      'lines of src/a.ts: stated 4, counted 3',
    ],
    [
      'markers of a file',
      () => miscounted(withEntry('src/a.ts', { todos: 2 })),
      'TODO and FIXME of src/a.ts: stated 2, counted 3',
    ],
    ['a language', () => miscounted(withEntry('src/b.md', { language: 'Text' })), 'language of src/b.md'],
    [
      'the number of files',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, file_count: 6 }),
        ),
      'file_count: stated 6, counted 5',
    ],
    [
      'the bytes',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, total_bytes: 1 }),
        ),
      'total_bytes: stated 1,',
    ],
    [
      'the markers',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, todo_count: 4 }),
        ),
      'todo_count: stated 4, counted 3',
    ],
    ['a file twice', () => miscounted((files) => [...files, ...files.slice(-1)]), 'out of order'],
    [
      'the largest file',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, largest_files: survey.largest_files.toReversed() }),
        ),
      'largest file 1',
    ],
    [
      'a place',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, todos: survey.todos.map((place) => ({ ...place, line: 9 })) }),
        ),
      'stated 9 TODO, counted 1 TODO',
    ],
    [
      'a place left out',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, todos: [] }),
        ),
      'none is stated',
    ],
    [
      'a place left out among others',
      async () => {
        await writeTree(root, { 'src/z.ts': '// TODO z' });
        return miscounted(
          (files) => files,
          (survey) => ({ ...survey, todos: survey.todos.filter((_place, index) => index !== 2) }),
        );
      },
      'src/a.ts has 3, stated 2',
    ],
    [
      'a row of languages',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, languages: survey.languages.map((row) => ({ ...row, lines: row.lines + 1 })) }),
        ),
      'lines in TypeScript',
    ],
    [
      'a dependency',
      () =>
        miscounted(
          (files) => files,
          (survey) => ({ ...survey, dependencies: survey.dependencies.map((one) => ({ ...one, name: 'right-pad' })) }),
        ),
      'dependency right-pad',
    ],
  ];
  it.each(planted)('fails for good on a wrong figure: %s (V2)', async (_what, plant, named) => {
    await expect(verify(await plant())).rejects.toMatchObject({
      name: 'WorkerFault',
      retryable: false,
      message: expect.stringContaining(named),
    });
  });

  it('fails on a report that says other figures than its survey (V2)', async () => {
    const { survey, report } = await made();
    const document = documentOf<ReportDocument>(report.report_json.artifact_id);
    const wrong = { ...document, figures: { ...document.figures, todo_count: 0 } };
    const report_json = put(context.kept, 'report.json', 'application/json', Buffer.from(JSON.stringify(wrong)));
    await expect(verify({ survey, report: { ...report, report_json } })).rejects.toThrow(
      'todo_count in report.json: stated 0, counted 3',
    );
    const text = Buffer.from(context.kept.get(report.report_markdown.artifact_id) ?? []).toString();
    const other = Buffer.from(text.replace('| Files | 5 |', '| Files | 50 |'));
    const report_markdown = put(context.kept, 'report.md', 'text/markdown', other);
    await expect(verify({ survey, report: { ...report, report_markdown } })).rejects.toThrow(
      'the Markdown report does not state 5',
    );
  });

  it('fails on an artifact whose bytes are others (V2)', async () => {
    const { survey, report } = await made();
    context.kept.set(survey.manifest.artifact_id, Buffer.from('{}'));
    await expect(verify({ survey, report })).rejects.toMatchObject({ name: 'WorkerFault', retryable: false });
  });

  it('fails on a commit that the repository does not have so (V2)', async () => {
    await git('init');
    await git('add', '.');
    await git('commit', '--no-verify', '-m', 'first');
    const wrong = await miscounted(
      (files) => files,
      (survey) => ({
        ...survey,
        last_commits: (survey.last_commits ?? []).map((one) => ({ ...one, subject: 'other' })),
      }),
    );
    await expect(verify(wrong)).rejects.toThrow('subject of commit');
  });

  it('tells changed, added and removed files as drift, and still compares the others (V3)', async () => {
    const before = await made();
    await writeTree(root, { 'src/a.ts': 'changed', 'new.txt': 'TODO' });
    await rename(join(root, 'src/b.md'), join(root, 'src/z.md'));
    const result = await verify(before);
    expect(result.drift).toEqual([
      { path: 'new.txt', change: 'added' },
      { path: 'src/a.ts', change: 'changed' },
      { path: 'src/b.md', change: 'removed' },
      { path: 'src/z.md', change: 'added' },
    ]);
    expect(result).toMatchObject({ drift_count: 4, checked: { files: 3 } });
    const wrong = await miscounted(withEntry('src/z.md', { lines: 7 }));
    await writeTree(root, { 'src/a.ts': 'changed again' });
    await expect(verify(wrong)).rejects.toThrow('lines of src/z.md: stated 7, counted 1');
  });

  it('tells commits since the survey as drift (V3)', async () => {
    await git('init');
    await git('add', '.');
    await git('commit', '--no-verify', '-m', 'first');
    const before = await made();
    await git('commit', '--no-verify', '--allow-empty', '-m', 'second');
    expect(await verify(before)).toMatchObject({
      drift: [{ path: '.git', change: 'commits' }],
      checked: { commits: 1 },
    });
  });

  (IS_ROOT ? it.skip : it)(
    `agrees on unreadable files, and tells when they become readable${WHY_NOT_ROOT}`,
    async () => {
      await chmod(join(root, 'src/a.ts'), 0);
      const before = await made();
      expect(await verify(before)).toMatchObject({ verified: true, drift_count: 0 });
      await chmod(join(root, 'src/a.ts'), 0o600);
      expect(await verify(before)).toMatchObject({ drift: [{ path: 'src/a.ts', change: 'readability' }] });
    },
  );

  it('is of the folder that was surveyed', async () => {
    const { survey, report } = await made();
    const other = run('report.verify', { path: join(root, 'src'), survey, report }, context);
    await expect(other).rejects.toMatchObject({ name: 'WorkerFault', retryable: false });
  });
});
