import { builtinPlugin } from './builtin-plugin.js';

/** The trivial task of benches and examples. */
export const systemEcho = builtinPlugin('system.echo', async ({ input }) => ({ value: input.value }));
