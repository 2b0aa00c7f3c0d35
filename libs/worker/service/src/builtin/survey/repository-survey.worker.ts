// repository.survey: what is in a folder or git repository, in figures.
//
//   R1. Every regular file under the root is counted once, after the ignores; what cannot be read counts too, by the
//       size the file system tells, and is named.
//   R2. The same tree gives the same output and the same manifest, byte for byte.
//   R3. Memory holds paths and figures, never contents.

import { realpath } from 'node:fs/promises';
import { resolveAllowed, SURVEY_OUTPUT_BYTES_MAX, TODO_PLACES_MAX } from '@nexusmon/worker-contract';
import { WorkerFault } from '../../worker-plugin.js';
import type { WorkerContext } from '../../worker-plugin.js';
import { builtinPlugin } from '../builtin-plugin.js';
import { openReal } from '../real-files.js';
import { CollectedPlaces } from './collected-places.js';
import { faultCode, isGone, isUnreadable } from './file-faults.js';
import { readHistory } from './git-history.js';
import { declarationsOf } from './manifests/declarations.js';
import { readFigures, UNREADABLE_LANGUAGE } from './read-file.js';
import type { SurveyedFile } from './read-file.js';
import { manifestBytes } from './survey-manifest.js';
import { surveyOutput } from './survey-output.js';
import { walk } from './walk.js';
import type { Tree } from './walk.js';

const READERS = 8;
const PROGRESS_FILES = 1_000;

export const repositorySurvey = builtinPlugin('repository.survey', async ({ input }, context) => {
  const { root, allowed_root } = await folderOf(input.path, context);
  const tree = await walk(root, context.forbidden_roots, context.signal);
  context.progress(`found ${tree.files.length} files`, 0.05);
  const places = new CollectedPlaces(TODO_PLACES_MAX);
  const files = await readAll(root, tree, places, context);
  const listed = files.map(({ path, figures }) => ({ path, size: figures.size }));
  const declarations = await declarationsOf(root, listed, context.signal);
  const { allowed_roots, forbidden_roots, signal } = context;
  const history = await readHistory({ root, allowed_root, allowed_roots, forbidden_roots, signal });
  const bytes = manifestBytes(root, files, tree, declarations.dependencies);
  const manifest = await context.put_artifact('manifest.json', 'application/json', bytes);
  context.progress('surveyed', 1);
  return surveyOutput(
    { root, files, tree, declarations, places: places.first(), history, manifest },
    SURVEY_OUTPUT_BYTES_MAX,
  );
});

/** The real folder behind a path, or the fault that says why it is not surveyed. */
export const folderOf = async (path: string, context: WorkerContext) => {
  const judged = await resolveAllowed(path, context.allowed_roots, context.forbidden_roots, (one) => realpath(one));
  if (!judged.allowed) throw new WorkerFault(judged.message, false);
  await checkFolder(judged.path);
  return { root: judged.path, allowed_root: judged.root };
};

const checkFolder = async (path: string) => {
  try {
    await using handle = await openReal(Buffer.from(path));
    if (!(await handle.stat()).isDirectory()) throw new WorkerFault('the path is not a folder', false);
  } catch (error) {
    const code = faultCode(error);
    if (!isGone(code) && !isUnreadable(code)) throw error;
    throw new WorkerFault(`the folder cannot be opened (${code})`, false, { cause: error });
  }
};

const readAll = async (root: string, tree: Tree, places: CollectedPlaces, context: WorkerContext) => {
  const base = Buffer.from(root);
  const found: (SurveyedFile | undefined)[] = [];
  let next = 0;
  const reader = async () => {
    for (let index = next++; index < tree.files.length; index = next++) {
      context.signal.throwIfAborted();
      const path = tree.files[index] ?? base;
      found[index] = await surveyed(base, path, tree, places, context.signal);
      if (index % PROGRESS_FILES === PROGRESS_FILES - 1)
        context.progress(`read ${index + 1} of ${tree.files.length} files`, 0.05 + 0.85 * (index / tree.files.length));
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  return found.filter((file) => file !== undefined);
};

const surveyed = async (
  base: Buffer,
  path: Buffer,
  tree: Tree,
  places: CollectedPlaces,
  signal: AbortSignal,
): Promise<SurveyedFile | undefined> => {
  const reading = await readFigures(base, path, TODO_PLACES_MAX, signal);
  switch (reading.outcome) {
    case 'read':
      places.add(path, reading.figures.places);
      return { path, figures: { ...reading.figures, places: [] } };
    case 'unreadable': {
      tree.unreadable.push({ path, kind: 'file', reason: reading.reason });
      const { size } = reading;
      return { path, figures: { size, sha256: null, lines: 0, todos: 0, language: UNREADABLE_LANGUAGE, places: [] } };
    }
    case 'gone':
      tree.skipped.vanished += 1;
      return undefined;
    case 'special':
      tree.skipped.special += 1;
      return undefined;
  }
};
