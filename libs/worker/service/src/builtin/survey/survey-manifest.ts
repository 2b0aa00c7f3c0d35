import type { Dependency, ManifestEntry, SurveyManifest } from '@nexusmon/worker-contract';
import { pathText } from './path-text.js';
import type { SurveyedFile } from './read-file.js';
import type { Tree } from './walk.js';

const FORMAT: SurveyManifest['format'] = 'nexusmon.survey.manifest.v1';

/**
 * The whole list as canonical JSON (RFC 8785): every object is written with its keys in order, and the only numbers are
 * integers. Written file by file, since a list of half a million entries as one text would be held twice.
 */
export const manifestBytes = (
  root: string,
  files: readonly SurveyedFile[],
  tree: Tree,
  dependencies: readonly Dependency[],
): Buffer => {
  const parts: Buffer[] = [];
  const write = (text: string) => parts.push(Buffer.from(text));
  write(`{"dependencies":${JSON.stringify(dependencies.map(inOrder))},"files":[`);
  files.forEach((file, index) => write((index === 0 ? '' : ',') + JSON.stringify(entryOf(file))));
  const ignored_folders = tree.ignored_folders.map(pathText);
  const unreadable = tree.unreadable
    .toSorted((a, b) => Buffer.compare(a.path, b.path))
    .map(({ kind, path, reason }) => ({ kind, path: pathText(path), reason }));
  const rest = { format: FORMAT, ignored_folders, root, unreadable };
  write(`],${JSON.stringify(rest).slice(1)}`);
  return Buffer.concat(parts);
};

const entryOf = ({ path, figures }: SurveyedFile): ManifestEntry => {
  const { language, lines, sha256, size, todos } = figures;
  return { language, lines, path: pathText(path), sha256, size, todos };
};

const inOrder = ({ ecosystem, kind, licence, manifest, name, version }: Dependency): Dependency => ({
  ecosystem,
  kind,
  ...(licence === undefined ? {} : { licence }),
  manifest,
  name,
  version,
});
