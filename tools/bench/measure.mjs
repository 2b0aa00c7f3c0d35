// How a bench drives what it measures.

export const quantile = (values, share) => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
};

/** Does `work` `count` times with so many at once; returns how long each took, in ms. */
export const inFlight = async (count, at_once, work) => {
  const took = [];
  let next = 0;
  const loop = async () => {
    while (next < count) {
      const index = next++;
      const began = performance.now();
      await work(index);
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: at_once }, loop));
  return took;
};

const echo = (task_id, ...depends_on) => ({ task_id, worker: 'system.echo', input: { value: task_id }, depends_on });
/** Three no-op tasks, one after the other. */
export const plan = { tasks: [echo('one'), echo('two', 'one'), echo('three', 'two')] };

/** Runs one mission to its end, through everything that a mission goes through. */
export const mission = async (product, index) => {
  const answer = await product.call(
    'POST',
    '/v1/engine/missions',
    { goal: `Bench ${index}`, plan },
    { prefer: 'wait=60' },
  );
  if (answer.status !== 200 || answer.body.status !== 'completed')
    throw new Error(`mission ${index}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 400)}`);
  return answer;
};
