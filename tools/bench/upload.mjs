// Uploads: how fast a large file goes into the vault, and what the product's memory does meanwhile.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { json } from 'node:stream/consumers';

const MIB = 1024 * 1024;
const SIZE_MIB = 1_024;
const BOUNDARY = 'nexusmon-bench-boundary';
const HEAD = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="bench"\r\n\r\n`;
const TAIL = `\r\n--${BOUNDARY}--\r\n`;

/** Sends so many MiB, no faster than they are taken. */
const upload = async (product, mib) => {
  const request = httpRequest(`${product.run.gateway_url}/v1/vault/artifacts`, {
    method: 'POST',
    headers: {
      ...product.headers,
      'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
      'content-length': HEAD.length + mib * MIB + TAIL.length,
    },
  });
  const answered = once(request, 'response');
  request.write(HEAD);
  const chunk = randomBytes(MIB);
  for (let sent = 0; sent < mib; sent += 1) if (!request.write(chunk)) await once(request, 'drain');
  request.end(TAIL);
  const [response] = await answered;
  const body = await json(response);
  if (response.statusCode !== 201) throw new Error(`upload: ${response.statusCode} ${JSON.stringify(body)}`);
};

export const uploads = async (product, row) => {
  await upload(product, 16);
  const before = product.memory();
  const peak = { ...before };
  const watch = setInterval(() => {
    for (const [name, mib] of Object.entries(product.memory())) peak[name] = Math.max(peak[name], mib);
  }, 500);
  const began = performance.now();
  await upload(product, SIZE_MIB);
  const seconds = (performance.now() - began) / 1_000;
  clearInterval(watch);
  row('upload of 1 GiB, from its first byte to its answer', SIZE_MIB / seconds, 'MiB/s');
  for (const name of ['standalone', 'minio']) row(`  growth of ${name} (PSS)`, peak[name] - before[name], 'MiB');
};
