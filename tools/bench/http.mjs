// One request over a kept-alive connection: the same client for the product and for its peers.

import { request as httpRequest } from 'node:http';

/** Resolves with status, headers and the parsed body, whatever the status is. */
export const exchange = (agent, method, url, body, headers = {}) => {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const of_body =
    text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, agent, headers: { ...of_body, ...headers } }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const answer = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode,
          headers: response.headers,
          body: answer ? JSON.parse(answer) : undefined,
        });
      });
    });
    request.on('error', reject);
    request.end(text);
  });
};
