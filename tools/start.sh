#!/bin/sh
# `npm start`. The Node 24 that an earlier start has installed is taken at once: an older one could not become the
# supervisor (tools/start/bootstrap.mjs) and would have to stay beside it.
for node in node_modules/node-*/bin/node; do
  if [ -x "$node" ] && "$node" --version >/dev/null 2>&1; then exec "$node" tools/start.mjs "$@"; fi
done
exec node tools/start.mjs "$@"
