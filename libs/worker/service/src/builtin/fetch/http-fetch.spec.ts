// Against servers of its own on loopback, which the list names as addresses. `F1`–`F3` are the numbers in
// http-fetch.worker.ts, `G1`–`G4` those in guarded-request.ts.

import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server as TcpServer } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { httpFetchInput, httpFetchOutput } from '@nexusmon/worker-contract';
import { sha256Hex } from '@nexusmon/event-log';
import { parseEgressRule } from '@nexusmon/shared-contract';
import { memoryContext } from '../memory-context.fixture.js';
import { fetching, placeOf } from './http-fetch.worker.js';
import { pinned, SYSTEM_NAMES, type Address, type Names, type Resolve } from './guarded-request.js';

const MIB = 1024 * 1024;
const servers: (Server | TcpServer)[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

const listen = async <Kind extends Server | TcpServer>(
  server: Kind,
  { port, host } = { port: 0, host: '127.0.0.1' },
): Promise<number> => {
  servers.push(server);
  await new Promise<void>((done) => {
    server.listen(port, host, done);
  });
  return (server.address() as AddressInfo).port;
};
/** The port of a server, and what it was asked. */
const serve = async (answer: RequestListener) => {
  const asked: IncomingMessage[] = [];
  const port = await listen(
    createServer((request, response) => {
      asked.push(request);
      answer(request, response);
    }),
  );
  return { port, asked, url: `http://127.0.0.1:${port}` };
};
const redirecting = (location: string, status = 302) =>
  serve((_, response) => void response.writeHead(status, { location }).end('moved'));

const nobody: Resolve = () => Promise.reject(new Error('no name is resolved in this test'));
const fetchFrom = async (
  url: string,
  egress: readonly string[],
  { resolve = nobody, admits = SYSTEM_NAMES.admits, ...input }: Partial<Names> & Record<string, unknown> = {},
) => {
  const context = memoryContext([], [], new AbortController().signal, egress);
  const task = { mission_id: 'msn', task_id: 'task', attempt: 1, input: httpFetchInput.parse({ url, ...input }) };
  const output = httpFetchOutput.parse(await fetching({ resolve, admits })(task, context));
  return { output, body: output.artifact && Buffer.from(context.kept.get(output.artifact.artifact_id) ?? []) };
};
const fault = async (...asked: Parameters<typeof fetchFrom>) => {
  const failed = fetchFrom(...asked);
  await expect(failed).rejects.toMatchObject({ name: 'WorkerFault' });
  return failed.then(
    () => ({ message: '', retryable: false }),
    (error: { message: string; retryable: boolean }) => error,
  );
};

describe('http.fetch', () => {
  it('keeps what a listed host answers, and says what it is', async () => {
    const bytes = Buffer.from('<p>Grüße</p>');
    const { url, asked } = await serve((_, response) =>
      response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8', etag: '"7"', 'set-cookie': 'a=b', server: 'x' })
        .end(bytes),
    );
    const { output, body } = await fetchFrom(`${url}/a%20b?c=d#e`, [url], { accept: 'text/html' });
    expect(output).toMatchObject({
      ...{ url: `${url}/a%20b?c=d#e`, final_url: `${url}/a%20b?c=d`, redirects: 0, status: 200 },
      headers: { 'content-type': 'text/html; charset=utf-8', etag: '"7"' },
      ...{ sha256: sha256Hex(bytes), size: bytes.length, artifact: { media_type: 'text/html; charset=utf-8' } },
    });
    expect(Object.keys(output.headers).sort()).toEqual(['content-type', 'etag']);
    expect(body?.equals(bytes)).toBe(true);
    expect(asked[0]?.url).toBe('/a%20b?c=d');
  });

  it('sends nothing of this machine along (G3)', async () => {
    const { url, asked } = await serve((_, response) => void response.end('x'));
    await fetchFrom(url, [url]);
    expect(Object.keys(asked[0]?.headers ?? {}).sort()).toEqual([
      'accept',
      'accept-encoding',
      'connection',
      'host',
      'user-agent',
    ]);
  });

  it.each([
    [404, 'GET'],
    [500, 'GET'],
    [204, 'GET'],
    [200, 'HEAD'],
  ] as const)('takes %s to %s for an answer', async (status, method) => {
    const { url } = await serve((_, response) => void response.writeHead(status).end());
    const { output } = await fetchFrom(url, [url], { method });
    expect(output).toMatchObject({ status, size: 0 });
    expect('artifact' in output).toBe(method === 'GET');
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('decodes %s', async (encoding, compress) => {
    const bytes = Buffer.from('the same words again and again '.repeat(1_000));
    const { url } = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': encoding }).end(compress(bytes)),
    );
    expect((await fetchFrom(url, [url])).body?.equals(bytes)).toBe(true);
  });

  describe('refuses', () => {
    // The list names the first server. All of these would reach the second, or anything else on this machine.
    const spellings = (port: number) => [
      ...[
        `http://127.0.0.1:${port}/`,
        `http://127.1:${port}/`,
        `http://127.0.1:${port}/`,
        `http://2130706433:${port}/`,
      ],
      ...[`http://0x7f000001:${port}/`, `http://0x7f.0.0.1:${port}/`, `http://0177.0.0.1:${port}/`],
      ...[
        `http://0177.0.0x0.1:${port}/`,
        `http://017700000001:${port}/`,
        `http://0:${port}/`,
        `http://0.0.0.0:${port}/`,
      ],
      ...[
        `http://127.0.0.2:${port}/`,
        `http://[::1]:${port}/`,
        `http://[::]:${port}/`,
        `http://[::127.0.0.1]:${port}/`,
      ],
      ...[`http://[::ffff:127.0.0.1]:${port}/`, `http://[::ffff:7f00:1]:${port}/`, `http://[0:0:0:0:0:0:0:1]:${port}/`],
      ...[
        `http://[64:ff9b::7f00:1]:${port}/`,
        `http://[2002:7f00:1::]:${port}/`,
        `http://[::ffff:0:127.0.0.1]:${port}/`,
      ],
      ...[
        `http://localhost:${port}/`,
        `http://LOCALHOST:${port}/`,
        `http://localhost.:${port}/`,
        `http://a.localhost:${port}/`,
      ],
      ...[
        `http://127.0.0.1.:${port}/`,
        `http://１２７.０.０.１:${port}/`,
        `http://127。0。0。1:${port}/`,
        `http://①②⑦.0.0.1:${port}/`,
      ],
      ...[`http://127.0.0.1%2f@127.0.0.1:${port}/`, `http://user@127.0.0.1:${port}/`, `http://:@127.0.0.1:${port}/x`],
      ...[
        `https://127.0.0.1:${port}/`,
        `HTTP://127.0.0.1:${port}/`,
        `http:127.0.0.1:${port}`,
        `http:/\\127.0.0.1:${port}/`,
      ],
      ...[`http://169.254.169.254/latest/meta-data/`, `http://[fd00:ec2::254]/`, `http://metadata.google.internal/`],
      ...[`http://127.0.0.1:${port}@127.0.0.1:${port}/`, `ws://127.0.0.1:${port}/`, `gopher://127.0.0.1:${port}/_x`],
      ...[`file:///etc/passwd`, `unix:/var/run/docker.sock`, `data:,x`, `blob:http://127.0.0.1:${port}/x`],
      ...[
        ` http://127.0.0.1:${port}/`,
        `\thttp://127.0.0.1:${port}/`,
        `ht\ntp://127.0.0.1:${port}/`,
        `//127.0.0.1:${port}/`,
      ],
    ];

    it('every spelling of a place that is not listed, asked for at once or by a redirect (F1)', async () => {
      const inside = await serve((_, response) => void response.end('inside'));
      const all = spellings(inside.port);
      expect(all.length).toBeGreaterThanOrEqual(45);
      let location = '';
      const listed = await serve((_, response) => {
        // As bytes, whatever they are: a header of Node's own would refuse some.
        response
          .writeHead(302, {
            location: Buffer.from(location)
              .toString('latin1')
              .replaceAll(/[\n\t]/g, ''),
          })
          .end();
      });
      for (const each of all) {
        expect([each, (await fault(each, [listed.url])).retryable]).toEqual([each, false]);
        location = each;
        const redirected = await fault(listed.url, [listed.url]);
        expect([each, redirected.retryable]).toEqual([each, false]);
      }
      expect(inside.asked).toHaveLength(0);
    });

    it.each(['https://example.org:443', 'http://example.org:80', 'https://*.example.org:443', 'https://127.0.0.1:443'])(
      'what only a rule for something else would permit: %s (F1)',
      async (rule) => {
        const { url, asked } = await serve((_, response) => void response.end('x'));
        expect((await fault(url, [rule])).message).toContain('is not on the list');
        expect(asked).toHaveLength(0);
      },
    );

    it.each([[[]], [['*']], [['http://*']], [['HTTP://127.0.0.1:1']]])(
      'everything under a list of %j',
      async (egress) => {
        const { url, asked } = await serve((_, response) => void response.end('x'));
        await fault(url, egress);
        expect(asked).toHaveLength(0);
      },
    );

    it.each([
      ['a private address', ['10.0.0.1']],
      ['loopback', ['127.0.0.1']],
      ['a public and a private one', ['93.184.216.34', '127.0.0.1']],
      [
        'a private one behind many',
        [...Array.from({ length: 40 }, (_, index) => `93.184.216.${index}`), '169.254.169.254'],
      ],
      ['loopback of IPv6', ['::1']],
      ['a mapped one', ['::ffff:127.0.0.1']],
      ['a translated one', ['64:ff9b::7f00:1']],
      ['a tunnelled one', ['2002:7f00:1::']],
      ['something else than an address', ['localhost']],
    ])('a listed name that leads to %s (G1)', async (_, found) => {
      const { port, asked } = await serve((__, response) => void response.end('x'));
      const resolve = () =>
        Promise.resolve(found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
      const { message, retryable } = await fault(
        `http://rebound.example:${port}/`,
        [`http://rebound.example:${port}`],
        { resolve },
      );
      expect([message, retryable]).toEqual([
        expect.stringMatching(/^rebound\.example leads to .*, which is not public$/),
        false,
      ]);
      expect(asked).toHaveLength(0);
    });

    it('a second answer for a name: it is resolved once, and what was looked at is dialled (G1)', async () => {
      const looked_at = await serve((_, response) => void response.end('looked at'));
      const { port } = looked_at;
      let inside = 0;
      await listen(
        createServer((_, response) => {
          inside += 1;
          response.end('inside');
        }),
        { port, host: '127.0.0.2' },
      );
      let resolved = 0;
      const resolve = () => {
        resolved += 1;
        return Promise.resolve([{ address: resolved === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }]);
      };
      // The one place here that anybody may send to, so that nothing has to be dialled outside.
      const admits = (address: string) => address === '127.0.0.1';
      const url = `http://rebound.example:${port}`;
      const { body } = await fetchFrom(url, [url], { resolve, admits });
      expect([body?.toString(), resolved, inside]).toEqual(['looked at', 1, 0]);
      expect(looked_at.asked[0]?.headers.host).toBe(`rebound.example:${port}`);
      // The next request resolves again, and refuses the next answer.
      expect((await fault(url, [url], { resolve, admits })).message).toContain('leads to 127.0.0.2');
      expect(inside).toBe(0);
    });

    it('a redirect from a listed name to itself that now leads inside (F1, G1)', async () => {
      const inside: Address[] = [{ address: '127.0.0.1', family: 4 }];
      const { url } = await redirecting('http://rebound.example/');
      const egress = [url, 'http://rebound.example:80'];
      expect((await fault(url, egress, { resolve: () => Promise.resolve(inside) })).message).toContain('not public');
    });

    it('a chain of redirects that ends at an address that is not listed', async () => {
      const inside = await serve((_, response) => void response.end('inside'));
      const third = await redirecting(inside.url);
      const second = await redirecting(third.url);
      const first = await redirecting(second.url);
      expect((await fault(first.url, [first.url, second.url, third.url])).message).toContain('is not on the list');
      expect(inside.asked).toHaveLength(0);
    });

    it('the sixth redirect, and a loop (F2)', async () => {
      const loop = await serve((_, response) => void response.writeHead(302, { location: '/' }).end());
      expect((await fault(loop.url, [loop.url])).message).toContain('more than 5 redirects');
      expect(loop.asked).toHaveLength(6);
    });

    it('a redirect from https to http, although both are listed (F2)', () => {
      const rules = ['https://example.org', 'http://example.org'].map((entry) => {
        const parsed = parseEgressRule(entry);
        if ('fault' in parsed) throw new Error(parsed.fault);
        return parsed.rule;
      });
      const [secure, open] = [new URL('https://example.org/'), new URL('http://example.org/')];
      expect(() => placeOf('http://example.org/x', rules, secure)).toThrow(
        'redirected by example.org: from https to http',
      );
      expect(placeOf('/x', rules, secure).url.href).toBe('https://example.org/x');
      expect(placeOf('https://example.org/x', rules, open).url.href).toBe('https://example.org/x');
    });

    it('a certificate that nobody vouches for', async () => {
      const port = await listen(createTlsServer((_, response) => void response.end('x')));
      const { message } = await fault(`https://127.0.0.1:${port}/`, [`https://127.0.0.1:${port}`]);
      expect(message).toMatch(/could not be asked: /);
    });
  });

  it.each([301, 302, 303, 307, 308])(
    'follows a listed redirect of %s, with the same method and nothing else',
    async (status) => {
      const there = await serve((_, response) => void response.end('there'));
      const here = await redirecting(`${there.url}/x`, status);
      const { output } = await fetchFrom(here.url, [here.url, there.url], { method: 'HEAD' });
      expect(output).toMatchObject({ final_url: `${there.url}/x`, redirects: 1, status: 200 });
      expect(there.asked[0]).toMatchObject({ method: 'HEAD', url: '/x' });
      expect(there.asked[0]?.headers).not.toHaveProperty('referer');
    },
  );

  describe('reads no more than it may (F3, G4):', () => {
    const endless: RequestListener = (_, response) => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    };

    it('an endless body', async () => {
      const { url } = await serve(endless);
      expect(await fault(url, [url])).toMatchObject({
        message: `the body is larger than ${MIB} bytes`,
        retryable: false,
      });
    });

    it('a body that says that it is too large', async () => {
      const { url } = await serve(
        (_, response) => void response.writeHead(200, { 'content-length': '1000' }).flushHeaders(),
      );
      expect((await fault(url, [url], { bytes_max: 999 })).message).toBe('the body is larger than 999 bytes');
    });

    it('a body that unpacks to more than it may', async () => {
      const bomb = gzipSync(Buffer.alloc(64 * MIB));
      expect(bomb.length).toBeLessThan(MIB / 4);
      const { url } = await serve((_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
      const before = process.memoryUsage().arrayBuffers;
      expect((await fault(url, [url])).message).toBe(`the body is larger than ${MIB} bytes`);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MIB);
    });

    it('exactly as much as it may', async () => {
      const { url } = await serve((_, response) => void response.end(Buffer.alloc(1_000)));
      expect((await fetchFrom(url, [url], { bytes_max: 1_000 })).output.size).toBe(1_000);
      expect((await fault(url, [url], { bytes_max: 999 })).retryable).toBe(false);
    });

    it.each<[string, RequestListener]>([
      ['that answers nothing', () => undefined],
      ['that stops in the middle', (_, response) => void response.writeHead(200).write('x')],
      [
        'that redirects for ever, slowly',
        (_, response) => void setTimeout(() => response.writeHead(302, { location: '/' }).end(), 150),
      ],
    ])('a server %s', async (_, answer) => {
      const { url } = await serve(answer);
      const began_ms = performance.now();
      const { message, retryable } = await fault(url, [url], { timeout_seconds: 0.4 });
      expect([message, retryable]).toEqual([`${new URL(url).host} did not answer in full within 0.4 s`, true]);
      expect(performance.now() - began_ms).toBeLessThan(10_000);
    });

    it('a name that is never resolved', async () => {
      const resolve = () => new Promise<never>(() => undefined);
      const { retryable } = await fault('https://slow.example/', ['https://slow.example:443'], {
        resolve,
        timeout_seconds: 0.2,
      });
      expect(retryable).toBe(true);
    });
  });

  it.each([
    ['an encoding that was not asked for', { 'content-encoding': 'zstd' }, 'x', 'which was not asked for'],
    ['encodings one in the other', { 'content-encoding': 'gzip, gzip' }, 'x', 'which was not asked for'],
    [
      'a property of every object as an encoding',
      { 'content-encoding': 'constructor' },
      'x',
      'which was not asked for',
    ],
    ['bytes that are no gzip', { 'content-encoding': 'gzip' }, 'not gzip at all', 'not what its encoding says'],
    [
      'a gzip that ends too soon',
      { 'content-encoding': 'gzip' },
      gzipSync('x'.repeat(999)).subarray(0, 15),
      'not what its',
    ],
    ['bytes that are no brotli', { 'content-encoding': 'br' }, 'not brotli at all', 'not what its encoding says'],
  ])('fails for good at %s', async (_, headers, body, why) => {
    const { url } = await serve((__, response) => void response.writeHead(200, headers).end(body));
    const { message, retryable } = await fault(url, [url]);
    expect([message, retryable]).toEqual([expect.stringContaining(why), false]);
  });

  it.each([
    ['nobody', ''],
    ['something that hangs up', 'hang up'],
    ['something that speaks no HTTP', '220 smtp.example ESMTP\r\n'],
    ['something whose header never ends', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}`],
  ])('may be tried again when %s listens', async (_, greeting) => {
    const port = await listen(
      createTcpServer((socket) => {
        socket.on('error', () => socket.destroy()).resume();
        if (greeting === 'hang up') socket.destroy();
        else socket.end(greeting);
      }),
    );
    if (greeting === '') await new Promise((done) => servers.pop()?.close(done));
    const url = `http://127.0.0.1:${port}`;
    expect(await fault(url, [url])).toMatchObject({
      message: expect.stringContaining('could not be asked'),
      retryable: true,
    });
  });

  it('keeps bytes of a type that is none as bytes', async () => {
    const { url } = await serve(
      (_, response) => void response.writeHead(200, { 'content-type': 'text/html;;; <x>' }).end('x'),
    );
    expect((await fetchFrom(url, [url])).output.artifact?.media_type).toBe('application/octet-stream');
  });

  it('dials what was looked at, in both ways in which it is asked (G1)', () => {
    const addresses = [
      { address: '93.184.216.34', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ];
    const answers: unknown[] = [];
    const lookup = pinned(addresses);
    lookup('any.example', { all: true }, (...answer) => answers.push(answer));
    lookup('any.example', {}, (...answer) => answers.push(answer));
    expect(answers).toEqual([
      [null, addresses],
      [null, '93.184.216.34', 4],
    ]);
  });
});
