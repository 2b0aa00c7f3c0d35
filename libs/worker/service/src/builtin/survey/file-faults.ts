// What the file system's refusals mean to a reader of a tree that lives on while it is read.

/**
 * The file or folder is no longer what the listing said: removed, replaced by another kind, or turned into a link.
 * `MOVED` is our own word: it, or a folder above it, was swapped for a link while it was opened.
 */
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ESTALE', 'MOVED']);

/** It is there and will not be read. `ENAMETOOLONG`: deeper than the system can name. */
const UNREADABLE = new Set([
  'EACCES',
  'EPERM',
  'EIO',
  'ENAMETOOLONG',
  'EBUSY',
  'ETXTBSY',
  'EINVAL',
  'EOVERFLOW',
  'ENODATA',
]);

export const faultCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';

export const isGone = (code: string) => GONE.has(code);
export const isUnreadable = (code: string) => UNREADABLE.has(code);
