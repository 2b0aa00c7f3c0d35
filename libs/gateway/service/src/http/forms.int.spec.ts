// Forms and deadlines over real sockets. `M1`–`M5` are the numbers in forms.ts, `L1`–`L3` those in deadlines.ts.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { silentLogger } from '@nexusmon/telemetry';
import { z } from 'zod';
import { withForm } from './forms.js';
import { defineRoute } from './route.js';
import { allowedOrigins } from './security-headers.js';
import { makeSurface } from './surface.js';

const LIMITS = {
  ...{ bytes_max: 1_000_000, window_ms: 600, bytes_min: 1_000, mean_bytes_min: 3_000, mean_windows: 3 },
  enter: () => {
    places += 1;
    return () => void (places -= 1);
  },
};
let places = 0;
const DEADLINES = { body_ms: 300, linger_ms: 300 };
const BOUNDARY = 'xXx';

const fields = z.strictObject({ name: z.string().max(20).optional(), inputs: z.array(z.string()).default([]) });
/** What became of the bytes of each form that was begun. */
const taken: string[] = [];
let hold: Promise<void> | undefined;

const routes = [
  defineRoute({
    method: 'POST',
    path: '/v1/forms',
    summary: 'Take a form',
    tag: 'Forms',
    policy: { access: 'public' },
    form: fields,
    responses: { 200: { description: 'What came.' } },
    handler: (call) =>
      withForm(call, fields, LIMITS, async ({ fields: given, filename, media_type, bytes }) => {
        const digest = createHash('sha256');
        let size = 0;
        try {
          await hold;
          for await (const chunk of bytes) {
            digest.update(chunk);
            size += chunk.length;
          }
        } catch (error) {
          taken.push('broken');
          throw error;
        }
        taken.push('whole');
        return { status: 200, body: { ...given, filename, media_type, size, sha256: digest.digest('hex') } };
      }),
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/json',
    summary: 'Take JSON',
    tag: 'Forms',
    policy: { access: 'public' },
    body: z.strictObject({}),
    responses: { 200: { description: 'Taken.' } },
    handler: () => ({ status: 200, body: {} }),
  }),
];

const admission = {
  count: () => undefined,
  countUnasked: () => undefined,
  admit: () => Promise.resolve({ sovereign: false }),
  admitByKey: () => Promise.reject(new Error('no route takes a key')),
};
const http = makeSurface({
  ...{ routes, admission, origins: allowedOrigins([], []), trusted_proxies: [] },
  ...{ log: silentLogger(), deadlines: DEADLINES },
});
let url: string;
let port: number;
beforeAll(async () => {
  url = await http.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = http.server.address() as AddressInfo);
});
afterAll(() => http.close());

type Answer = Readonly<{
  status: number;
  body: { code?: string; errors?: { path: string; message: string }[]; size?: number; sha256?: string };
}>;

const send = async (form: FormData | string, type?: string): Promise<Answer> => {
  const headers = type === undefined ? {} : { 'content-type': type };
  const response = await fetch(`${url}/v1/forms`, { method: 'POST', body: form, headers });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
};
type Entry = readonly [string, string | Blob];
const formOf = (...entries: Entry[]) => {
  const form = new FormData();
  for (const [name, value] of entries) form.append(name, value);
  return form;
};
const file = (bytes: Uint8Array<ArrayBuffer> = randomBytes(10)): Entry => ['file', new Blob([bytes])];
const said = ({ status, body: { code, errors } }: Answer) => [status, code, errors?.[0]?.path];
const raw = (...parts: string[]) => parts.map((part) => `--${BOUNDARY}\r\n${part}\r\n`).join('');
const FILE_HEAD = 'content-disposition: form-data; name="file"; filename="f"\r\n\r\n';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

/** A request whose body is sent by hand. */
const open = async (path: string, type: string, head: string, method = 'POST') => {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => (text += String(chunk)));
  socket.on('error', () => undefined); // Being cut off is what is looked for.
  await once(socket, 'connect');
  socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\n${head}\r\n\r\n`);
  return { socket, text: () => text };
};

describe('a form', () => {
  it('is its fields and the bytes of its file, whatever is in them', async () => {
    const bytes = Buffer.concat([randomBytes(500_000), Buffer.from(`\r\n--${BOUNDARY}\r\n--\r\n`)]);
    const form = formOf(['name', 'a naïve name'], ['inputs', 'one'], ['inputs', 'two'], file(bytes));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(await send(form)).toMatchObject({
      status: 200,
      body: { name: 'a naïve name', inputs: ['one', 'two'], filename: 'blob', size: bytes.length, sha256 },
    });
    expect((await send(formOf(file(Buffer.alloc(0))))).body.size).toBe(0);
    expect((await send(formOf(file(randomBytes(LIMITS.bytes_max))))).body.size).toBe(LIMITS.bytes_max);
  });

  it.each<[string, Entry[], string]>([
    ['no file', [['name', 'x']], 'file'],
    ['nothing', [], 'file'],
    ['a field behind the file (M1)', [file(), ['name', 'x']], 'name'],
    ['two files', [file(), file()], 'file'],
    ['a file of another name', [['other', new Blob(['x'])]], 'other'],
    ['an unknown field', [['other', 'x'], file()], 'other'],
    ['a field that stands twice', [['name', 'x'], ['name', 'y'], file()], 'name'],
    ['a field that is too long', [['name', 'x'.repeat(5_000)], file()], 'name'],
    ['a field that does not fit', [['name', 'x'.repeat(21)], file()], 'name'],
    ['a file without a name of its own', [['file', 'text']], 'file'],
  ])('with %s is refused by its name', async (_, entries, path) => {
    expect(said(await send(formOf(...entries)))).toEqual([422, 'schema-violated', path]);
  });

  it('is judged by its fields before its file is taken (M1)', async () => {
    taken.length = 0;
    await send(formOf(['name', 'x'.repeat(21)], file()));
    expect(taken).toEqual([]);
    await send(formOf(file(), ['name', 'x']));
    expect(taken).toEqual(['broken']);
  });

  it('of another type is not read', async () => {
    expect(said(await send('{}', 'application/json'))).toEqual([415, 'media-type-unsupported', 'Content-Type']);
    expect(said(await send('', 'text/plain'))).toEqual([415, 'media-type-unsupported', 'Content-Type']);
    const json = await fetch(`${url}/v1/json`, { method: 'POST', body: formOf(file()) });
    expect(json.status).toBe(415);
  });

  it.each([
    ['without a boundary', raw(`${FILE_HEAD}x`), 'multipart/form-data'],
    ['without its end (M3)', raw(`${FILE_HEAD}x`), TYPE],
    ['of something else', 'not a form', TYPE],
    ['cut in a head', `--${BOUNDARY}\r\ncontent-disposition: form-data; na`, TYPE],
  ])('%s is malformed', async (_, text, type) => {
    taken.length = 0;
    const answer = await send(text, type);
    expect([answer.status, answer.body.code]).toEqual([400, 'malformed-form']);
    expect(taken).not.toContain('whole');
  });

  it('that is too large is refused, whether it says so or not (M2, M5)', async () => {
    taken.length = 0;
    const bytes = randomBytes(LIMITS.bytes_max + 1);
    expect(said(await send(formOf(file(bytes)))).slice(0, 2)).toEqual([413, 'file-too-large']);
    expect(taken).toEqual(['broken']);
    expect(said(await send(formOf(file(randomBytes(4 * 1024 * 1024))))).slice(0, 2)).toEqual([413, 'file-too-large']);
    expect(taken).toEqual(['broken']);
  });

  const DISPOSITION = 'content-disposition: form-data; name="name"';
  it.each(['{"a":1}', 'null', '["x","y"]', '{"toString":1,"valueOf":1}', '"text"', '{', '{"__proto__":1}'])(
    'with a field of JSON is not read as text: %s (M4)',
    async (json) => {
      taken.length = 0;
      const field = `${DISPOSITION}\r\ncontent-type: application/json; charset=utf-8\r\n\r\n${json}`;
      const answer = await send(`${raw(field, `${FILE_HEAD}x`)}--${BOUNDARY}--\r\n`, TYPE);
      expect(said(answer)).toEqual([422, 'schema-violated', 'name']);
      expect(answer.body.errors?.[0]?.message).toBe('expected text');
      expect(taken).toEqual([]);
    },
  );

  it('whose sender goes away is at its end', async () => {
    taken.length = 0;
    const { socket } = await open('/v1/forms', TYPE, 'content-length: 900000');
    socket.write(raw(`${FILE_HEAD}${'x'.repeat(100_000)}`));
    await pause(50);
    socket.destroy();
    while (taken.length === 0) await pause(10);
    expect(taken).toEqual(['broken']);
  });
});

describe('bytes around the file', () => {
  const filler = 'z'.repeat(64 * 1024);
  const END = `--${BOUNDARY}--\r\n`;
  it.each([
    ['behind the end', [raw(`${FILE_HEAD}x`), END], []],
    ['before the first part', [], [`\r\n${raw(`${FILE_HEAD}x`)}`, END]],
    ['in a part that is not asked for', [raw(`${FILE_HEAD}x`), `--${BOUNDARY}\r\nx: y\r\n\r\n`], [`\r\n${END}`]],
  ])('%s count, and are not taken without end (M2)', async (_, before, after) => {
    const answers = [];
    for (const fillers of [8, 32]) {
      const { socket, text } = await open('/v1/forms', TYPE, 'transfer-encoding: chunked');
      const pieces = [...before, ...Array<string>(fillers).fill(filler), ...after];
      for (const piece of pieces) socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      socket.write('0\r\n\r\n');
      while (!text().includes('}') && !socket.destroyed) await pause(10);
      socket.destroy();
      answers.push(/^HTTP\/1\.1 (\d+)/.exec(text())?.[1]);
      if (fillers === 32) expect(text()).toMatch(/malformed-form/);
    }
    expect(answers).toEqual(['200', '400']);
    expect(places).toBe(0);
  });
});

describe('a body that is handed on', () => {
  it('is cut off once it has come to a stop (L2)', async () => {
    const { socket, text } = await open('/v1/forms', TYPE, 'content-length: 900000');
    socket.write(raw(`${FILE_HEAD}${'x'.repeat(5_000)}`));
    const began_ms = performance.now();
    await once(socket, 'close');
    expect(performance.now() - began_ms).toBeGreaterThan(LIMITS.window_ms * 0.9);
    expect(text()).toMatch(/^HTTP\/1\.1 408 [^]*connection: close[^]*request-late/);
  });

  it('is, by the same deadline, when it has come to a stop while somebody else was waited for (L2)', async () => {
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const { socket, text } = await open('/v1/forms', TYPE, 'content-length: 900000');
    const closed = once(socket, 'close');
    // So little that nothing is paused: it is the sender's silence that goes on meanwhile.
    socket.write(raw(`${FILE_HEAD}${'x'.repeat(5_000)}`));
    await pause(2.5 * LIMITS.window_ms);
    expect([text(), socket.destroyed, places]).toEqual(['', false, 1]);
    const released_ms = performance.now();
    gate.resolve();
    hold = undefined;
    await closed;
    expect(performance.now() - released_ms).toBeGreaterThan(LIMITS.window_ms * 0.7);
    expect(text()).toMatch(/^HTTP\/1\.1 408 [^]*request-late/);
    expect(places).toBe(0);
  });

  it('is when it brings something all the time, and too little on the mean (L2)', async () => {
    const { socket, text } = await open('/v1/forms', TYPE, 'content-length: 900000');
    socket.write(raw(FILE_HEAD).slice(0, -2));
    const began_ms = performance.now();
    const drip = setInterval(() => socket.write('x'.repeat(200)), LIMITS.window_ms / 12);
    await once(socket, 'close');
    clearInterval(drip);
    expect(performance.now() - began_ms).toBeGreaterThan(LIMITS.mean_windows * LIMITS.window_ms * 0.9);
    expect(text()).toMatch(/^HTTP\/1\.1 408 [^]*request-late/);
  });

  it('is not while it brings something, nor while others are waited for (L2)', async () => {
    const gate = Promise.withResolvers<void>();
    hold = gate.promise;
    const bytes = 'x'.repeat(2_000);
    const { socket, text } = await open('/v1/forms', TYPE, 'transfer-encoding: chunked');
    const chunk = (piece: string) => socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    chunk(raw(FILE_HEAD).slice(0, -2));
    // More than is buffered anywhere: then it is the taker who is waited for.
    chunk('y'.repeat(900_000));
    await pause(2 * LIMITS.window_ms);
    gate.resolve();
    hold = undefined;
    for (let sent = 0; sent < 6; sent += 1) {
      await pause(LIMITS.window_ms / 2);
      chunk(bytes);
    }
    chunk(`\r\n--${BOUNDARY}--\r\n`);
    socket.write('0\r\n\r\n');
    while (!text().includes('"size":') && !socket.destroyed) await pause(10);
    expect(text()).toMatch(/"size":912000,/);
    socket.destroy();
  });
});

describe('a body that is read whole', () => {
  it('is late after its time, whatever it brings (L1)', async () => {
    const { socket, text } = await open('/v1/json', 'application/json', 'content-length: 1000');
    const drip = setInterval(() => socket.write(' '), 20);
    await once(socket, 'close');
    clearInterval(drip);
    expect(text()).toMatch(/^HTTP\/1\.1 408 [^]*request-late/);
  });
});

describe('a body that nobody reads', () => {
  it('does not hold the connection (L3)', async () => {
    const { socket, text } = await open('/v1/nowhere', 'text/plain', 'content-length: 100000', 'GET');
    const drip = setInterval(() => socket.write(' '), 20);
    const isCut = await Promise.race([
      once(socket, 'close').then(() => true),
      pause(10 * DEADLINES.linger_ms, false, { ref: false }),
    ]);
    clearInterval(drip);
    socket.destroy();
    expect(isCut).toBe(true);
    expect(text()).toMatch(/^HTTP\/1\.1 404 /);
  });
});
