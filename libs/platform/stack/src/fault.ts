/** Something the person who started us can put right. Its message is the whole story: it is printed without a stack. */
export class StartFault extends Error {
  override name = 'StartFault';
}

const codeOf = (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : '');

export const hasCode = (error: unknown, ...codes: string[]): boolean => codes.includes(codeOf(error));

const UNWRITABLE = ['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ENAMETOOLONG'];

/** Runs what first writes to a folder, and says in one sentence when the folder does not let us. */
export const writingTo = <Value>(folder: string, work: () => Value): Value => {
  try {
    return work();
  } catch (error) {
    if (!hasCode(error, ...UNWRITABLE)) throw error;
    throw new StartFault(`the data folder ${folder} cannot be written (${codeOf(error)})`, { cause: error });
  }
};
