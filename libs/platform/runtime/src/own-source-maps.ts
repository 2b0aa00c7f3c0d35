// Loaded before anything else of a process of ours: stack traces name our sources. Of what others wrote they name what
// runs: their maps are some megabytes, read at every start.

import { setSourceMapsSupport } from 'node:module';

setSourceMapsSupport(true, { nodeModules: false, generatedCode: false });
