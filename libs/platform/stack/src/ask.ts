import { get } from 'node:http';

export type Asked = Readonly<{ status: number; text: string }>;

/** One question to a server of this machine. Not `fetch`, whose client would stay in the supervisor for good. */
export const ask = (url: string, timeout_ms: number): Promise<Asked> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent: false, signal: AbortSignal.timeout(timeout_ms) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    request.once('error', reject);
  });

export const OK = 200;

export const saysOk = async (url: string, timeout_ms: number): Promise<boolean> =>
  (await ask(url, timeout_ms)).status === OK;
