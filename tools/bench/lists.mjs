// The lists beside that of missions, at a tenth of its volume: approvals and artifacts are appended through the log's
// own library as their services would; the artifacts all have the bytes of one that a mission has really made.

import { fileURLToPath } from 'node:url';
import { from, openLog } from './open-log.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SEED_IN_FLIGHT = 64;
export const EACH = 60;
const EXPIRES_SECONDS = 30 * 86_400;

const realArtifact = async (product) => {
  const body = { goal: 'Report on this folder', template: 'repository-report', params: { path: ROOT } };
  const { body: mission } = await product.call('POST', '/v1/engine/missions', body, { prefer: 'wait=60' });
  const { body: page } = await product.call('GET', `/v1/vault/artifacts?mission_id=${mission.mission_id}`);
  const [made] = page.data;
  if (!made) throw new Error(`no artifact: ${JSON.stringify(mission).slice(0, 400)}`);
  return made;
};

const execute = async (log, aggregate, id, command, key) => {
  const { newId } = await from('platform/event-log/dist/index');
  const outcome = await log.execute(aggregate, id, { command_id: newId('cmd'), correlation_id: id, command }, key);
  if (outcome.kind === 'rejected') throw new Error(JSON.stringify(outcome));
};

const artifacts = async (product, ids, count, inFlight) => {
  const { artifactAggregate } = await from('vault/service/dist/artifact/artifact.aggregate');
  const { seriesOf } = await from('vault/service/dist/artifact/series-id');
  const { newId } = await from('platform/event-log/dist/index');
  const { sha256, size, media_type, kind } = await realArtifact(product);
  const { log, close } = await openLog(product, 'vault');
  await inFlight(count, SEED_IN_FLIGHT, (index) => {
    const mission_id = ids[index % ids.length];
    const name = `${mission_id}/one/report-${index}.md`;
    const producer = { mission_id, task_id: 'one', attempt: 1, worker: 'system.echo' };
    const data = { artifact_id: newId('art'), name, sha256, size, media_type, kind, ...producer, inputs: [] };
    return execute(log, artifactAggregate, seriesOf(name), { type: 'RecordArtifact', actor: 'service:worker', data });
  });
  await close();
};

const approvals = async (product, ids, count, inFlight) => {
  const { approvalAggregate } = await from('governance/service/dist/approval/approval.aggregate');
  const { newId } = await from('platform/event-log/dist/index');
  const { log, close } = await openLog(product, 'governance');
  // What an approval says is sealed with the key of its mission.
  const { keyring, close: closeKeys } = await openLog(product);
  await inFlight(count, SEED_IN_FLIGHT, async (index) => {
    const approval_id = newId('apr');
    const about = { approval_id, mission_id: ids[index % ids.length], plan_digest: 'a'.repeat(64), rank: 'S' };
    const shown = {
      requested_by: 'operator:owner',
      reasons: ['rank'],
      summary: `Approval ${index}`,
      derived_inputs: [],
    };
    const terms = { cooling_off_seconds: 0, expires_seconds: EXPIRES_SECONDS };
    const command = { type: 'RequestApproval', actor: 'service:mission', data: { ...about, ...shown, ...terms } };
    await execute(log, approvalAggregate, approval_id, command, { key_id: await keyring.take(), is_new: true });
  });
  await Promise.all([close(), closeKeys()]);
};

export const seedLists = async (product, ids, count, row, inFlight) => {
  const began = performance.now();
  await artifacts(product, ids, count, inFlight);
  await approvals(product, ids, count, inFlight);
  row(`${count} approvals and ${count} artifacts appended, per s`, (2_000 * count) / (performance.now() - began), '/s');
};

const listQueries = (ids) => ({
  approvals: () => '/v1/approvals',
  'approvals, limit=200': () => '/v1/approvals?limit=200',
  'approvals, status': () => '/v1/approvals?status=pending',
  'approvals, status (none)': () => '/v1/approvals?status=denied',
  'approvals of a mission': (place) => `/v1/approvals?mission_id=${ids[place % ids.length]}`,
  reviews: () => '/v1/reviews',
  artifacts: () => '/v1/vault/artifacts',
  'artifacts, limit=200': () => '/v1/vault/artifacts?limit=200',
  'artifacts of a mission': (place) => `/v1/vault/artifacts?mission_id=${ids[place % ids.length]}`,
  'artifacts, latest': () => '/v1/vault/artifacts?latest=true',
  'artifacts, kind (none)': () => '/v1/vault/artifacts?kind=snapshot',
  'artifacts, damaged (none)': () => '/v1/vault/artifacts?damaged=true',
  'counts: organism status': () => '/v1/nexusmon/organism/status',
  'counts and first pages: ui state': () => '/v1/ui/state',
});

/** Until the views have what was appended last. */
export const settledLists = async (product) => {
  for (;;) {
    const { body } = await product.call('GET', '/v1/system/projections');
    if (body.data.every(({ lag }) => lag === 0)) return;
    await new Promise((wake) => setTimeout(wake, 200));
  }
};

export const total = (figures) => Object.values(figures).reduce((sum, value) => sum + value, 0);

/** One kind of read, one at a time: how long it takes, and what it costs all processes. */
export const kindRow = async (product, name, read, row, inFlight, quantile) => {
  const before = total(product.cpu());
  const took = await inFlight(EACH, 1, read);
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(took, share).toFixed(1));
  const cpu = (((total(product.cpu()) - before) * 1_000) / EACH).toFixed(1);
  row(`${name}: cpu ${cpu}, p50 ${p50}, p99 ${p99}, p95`, quantile(took, 0.95), '≤ 50 ms');
};

export const readLists = async (product, ids, row, inFlight, quantile) => {
  for (const [name, pathOf] of Object.entries(listQueries(ids))) {
    const read = async (place) => {
      const { status, body } = await product.call('GET', pathOf(place));
      if (status !== 200) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
    };
    await kindRow(product, name, read, row, inFlight, quantile);
  }
};
