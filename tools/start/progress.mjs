const TICK_MS = 10_000;

const seconds = (ms) => (ms / 1000).toFixed(2);

/** Steps that may run side by side: each one's time when it ends, and now and then what is still running. */
export const startProgress = (json, write = (line) => process.stdout.write(`${line}\n`)) => {
  const running = new Map();
  const tick = () => {
    const now = performance.now();
    const list = [...running].map(([name, start]) => `${name} ${Math.round((now - start) / 1000)} s`).join(', ');
    if (list && !json) write(`  ... ${list}`);
  };
  const timer = setInterval(tick, TICK_MS).unref();
  const say = (text) => write(json ? JSON.stringify({ event: 'note', text }) : `  ${text}`);
  const step = async (name, work) => {
    const start = performance.now();
    running.set(name, start);
    if (json) write(JSON.stringify({ event: 'step', step: name, state: 'begun' }));
    try {
      const value = await work();
      const elapsed = performance.now() - start;
      write(
        json
          ? JSON.stringify({ event: 'step', step: name, state: 'done', elapsed_ms: Math.round(elapsed) })
          : `  ${name.padEnd(24)} ${seconds(elapsed).padStart(7)} s`,
      );
      return value;
    } finally {
      running.delete(name);
    }
  };
  return { step, say, end: () => clearInterval(timer) };
};
