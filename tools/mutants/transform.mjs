// What jest makes of a file, with the rule of one mutant made wrong. Every other file comes out the same for all
// mutants, under the same key, so that it is transformed once for all of them.

import swc from '@swc/jest';

export default {
  createTransformer: ({ mutant: { path: mutated, find, replace }, ...options }) => {
    const { getCacheKey, process, processAsync, ...rest } = swc.createTransformer(options);
    const wrong = (source, path) => (path === mutated ? source.split(find).join(replace) : source);
    return {
      ...rest,
      getCacheKey: (source, path, ...more) => getCacheKey(wrong(source, path), path, ...more),
      process: (source, path, ...more) => process(wrong(source, path), path, ...more),
      processAsync: (source, path, ...more) => processAsync(wrong(source, path), path, ...more),
    };
  },
};
