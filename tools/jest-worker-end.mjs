// Loaded into every process of a group. jest ends a worker that has not ended by itself half a second after its
// last spec, and says that something leaks. On a busy machine V8's own threads take longer than that to end in a worker
// of a gigabyte. So the worker itself says what is open, and that alone counts.

const SIGTERM_EXIT_CODE = 143;

/** Its standard output and error. The channel to jest no longer holds a worker that was told to end. */
const PIPES_OF_JEST = 2;
const isPipe = (kind) => kind === 'PipeWrap';

if (process.argv[1]?.includes('jest-worker'))
  process.on('SIGTERM', () => {
    const all = process.getActiveResourcesInfo();
    const open = [...all.filter((kind) => !isPipe(kind)), ...all.filter(isPipe).slice(PIPES_OF_JEST)];
    if (open.length > 0) process.stderr.write(`Open after the last spec of a worker: ${open.join(', ')}\n`);
    process.exit(SIGTERM_EXIT_CODE);
  });
