// Forms: bodies of multipart/form-data, some fields and then one file, which is handed on as it comes.
//
//   M1. Fields stand before the file, and what they say is checked before a byte of the file is taken.
//   M2. No length is believed: the bytes of the file are counted as they come, and so are those around it, wherever
//       they stand: before the first part, in parts that nobody asked for, behind the end.
//   M3. Whoever takes the bytes is told of their end only once it is known that nothing follows and nothing is missing.
//   M4. Fields are text. What says that it is JSON is none, and is not read as if it were.
//   M5. What is refused early is read on for a moment and thrown away, so that the refusal arrives.

import multipart, { type Multipart, type MultipartFile } from '@fastify/multipart';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { DISCARDED_BYTES_MAX } from './body.js';
import { Arrival, isLate, type Pace } from './deadlines.js';
import { field, problem, type Problem } from './problem.js';
import { fieldErrors, schemaViolated, unwrapped } from './validation.js';

export const FORM_TYPE = 'multipart/form-data';
export const FILE_FIELD = 'file';

const JSON_TYPE = 'application/json';
const DISCARD_MS = 5_000;
/** What a body may have beside the bytes of its file. */
const AROUND_BYTES_MAX = 1024 * 1024;
const PARSER_LIMITS = {
  ...{ fieldSize: 4 * 1024, fields: 1_100, parts: 1_200 },
  // The file that is one too many is told by name.
  ...{ files: 2, fileSize: Infinity, headerPairs: 16 },
};
const NO_TEXT = 'expected text';
/** The parser reads fields of JSON by itself and hands on what they mean (M4): as files they come as they are. */
const isPartAFile = (_name?: string, media_type?: string, filename?: string): boolean =>
  filename !== undefined || media_type === 'application/octet-stream' || media_type?.startsWith(JSON_TYPE) === true;

/** Routes that are mounted in there take forms, and nothing else. */
export const acceptForms = (http: FastifyInstance, mount: (http: FastifyInstance) => void): void => {
  void http.register(async (forms) => {
    forms.removeAllContentTypeParsers();
    await forms.register(multipart, { limits: PARSER_LIMITS, isPartAFile });
    forms.addContentTypeParser('*', (_request, _payload, done) => done(noForm()));
    mount(forms);
  });
};

const noForm = (): Problem =>
  problem('media-type-unsupported', {
    detail: `the body must be sent as ${FORM_TYPE}`,
    errors: [field('Content-Type', `expected ${FORM_TYPE}`)],
  });

export type FormLimits = Pace &
  Readonly<{
    bytes_max: number;
    /** Asked before anything is read. Throws where there is no place for one more; the answer gives the place back. */
    enter: () => () => void;
  }>;

export type Form<Fields> = Readonly<{
  fields: Fields;
  filename: string | undefined;
  /** What the part of the file says it is. */
  media_type: string;
  bytes: AsyncIterable<Buffer>;
}>;

type Exchange = Readonly<{ request: FastifyRequest; reply: FastifyReply }>;

/** What `take` makes of a form. It reads the bytes to their end, or throws. */
export const withForm = async <Schema extends z.ZodObject, Result>(
  { request, reply }: Exchange,
  schema: Schema,
  limits: FormLimits,
  take: (form: Form<z.infer<Schema>>) => Promise<Result>,
): Promise<Result> => {
  if (!request.isMultipart()) throw noForm();
  try {
    return await received(request, schema, limits, take);
  } catch (error) {
    if (isLate(error) || !(await discardRest(request.raw))) reply.header('connection', 'close');
    throw error;
  }
};

const received = async <Schema extends z.ZodObject, Result>(
  request: FastifyRequest,
  schema: Schema,
  limits: FormLimits,
  take: (form: Form<z.infer<Schema>>) => Promise<Result>,
): Promise<Result> => {
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes_max + AROUND_BYTES_MAX) throw tooLarge(limits);
  const leave = limits.enter();
  const iterator = request.parts()[Symbol.asyncIterator]() as AsyncIterator<Multipart, undefined>;
  const parts = new Parts(request.raw, limits, iterator);
  try {
    return await take(await readFields(parts, schema, limits));
  } finally {
    parts.end();
    leave();
  }
};

const tooLarge = ({ bytes_max }: FormLimits): Problem =>
  problem('file-too-large', { detail: `a file may have ${bytes_max} bytes`, facts: { bytes_max } });

const malformed = (detail: string): Problem => problem('malformed-form', { detail, errors: [field('', detail)] });

const tooMuchAround = (): Problem => malformed(`a form may have ${AROUND_BYTES_MAX} bytes beside its file`);

/** The parts of a form one after the other, and why there is none where there should be one. */
class Parts {
  private first: Promise<IteratorResult<Multipart, undefined>> | undefined;
  private readonly arrival: Arrival;
  /** What of the body has been handed on as the bytes of the file. */
  private file_bytes = 0;

  constructor(
    private readonly raw: IncomingMessage,
    pace: Pace,
    private readonly parts: AsyncIterator<Multipart, undefined>,
  ) {
    // With this it begins to be piped.
    this.first = parts.next();
    // Of the file little is on its way through the parser at a time, and counts until then as what is around it.
    this.arrival = new Arrival(raw, pace, (bytes) =>
      bytes - this.file_bytes > AROUND_BYTES_MAX ? tooMuchAround() : undefined,
    );
  }

  end(): void {
    this.arrival.end();
  }

  async next(): Promise<Multipart | undefined> {
    const next = this.first ?? this.parts.next();
    this.first = undefined;
    const part: IteratorResult<Multipart, undefined> = await this.parsed(next);
    return part.value;
  }

  async *bytesOf({ file }: MultipartFile): AsyncGenerator<Buffer> {
    const chunks = file[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    try {
      for (;;) {
        const chunk: IteratorResult<Buffer, undefined> = await this.parsed(chunks.next());
        if (chunk.value === undefined) return;
        this.file_bytes += chunk.value.length;
        yield chunk.value;
      }
    } finally {
      // Left early, nobody reads it to its end.
      file.destroy();
    }
  }

  private async parsed<Value>(work: Promise<Value>): Promise<Value> {
    const outcome = work.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    const settled = await this.arrival.unlessStopped(outcome);
    if ('value' in settled) return settled.value;
    if (this.raw.destroyed && !this.raw.complete) throw malformed('the body broke off');
    throw malformed(wordsOf(settled.error));
  }
}

/** What the parser says of a body that it cannot read. */
const wordsOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'FST_FIELDS_LIMIT' || code === 'FST_PARTS_LIMIT') return 'the form has too many parts';
  return 'the body is not a whole form as its boundary says';
};

const readFields = async <Schema extends z.ZodObject>(
  parts: Parts,
  schema: Schema,
  limits: FormLimits,
): Promise<Form<z.infer<Schema>>> => {
  const given = new Map<string, string[]>();
  for (;;) {
    const part = await parts.next();
    if (!part) throw schemaViolated('body', [field(FILE_FIELD, 'missing')]);
    if (part.type === 'field') {
      if (typeof part.value !== 'string') throw schemaViolated('body', [field(part.fieldname, NO_TEXT)]);
      if (part.valueTruncated) throw schemaViolated('body', [field(part.fieldname, 'too long')]);
      given.set(part.fieldname, [...(given.get(part.fieldname) ?? []), part.value]);
      continue;
    }
    if (part.fieldname !== FILE_FIELD) {
      const message = part.mimetype.startsWith(JSON_TYPE) ? NO_TEXT : `the file must be the part ${FILE_FIELD}`;
      throw schemaViolated('body', [field(part.fieldname, message)]);
    }
    const { filename, mimetype: media_type } = part;
    const fields = fieldsOf(schema, given);
    return {
      fields,
      filename: filename === '' ? undefined : filename,
      media_type,
      bytes: bytesOf(parts, part, limits),
    };
  }
};

/** Lists are fields that stand several times; anything else stands once. */
const fieldsOf = <Schema extends z.ZodObject>(
  schema: Schema,
  given: ReadonlyMap<string, string[]>,
): z.infer<Schema> => {
  const shape = schema.shape as Record<string, z.ZodType>;
  const isList = (name: string) =>
    Object.hasOwn(shape, name) && shape[name] !== undefined && unwrapped(shape[name]) instanceof z.ZodArray;
  const repeated = [...given].filter(([name, texts]) => texts.length > 1 && !isList(name));
  if (repeated.length > 0)
    throw schemaViolated(
      'body',
      repeated.map(([name]) => field(name, 'stands more than once')),
    );
  const values = Object.fromEntries([...given].map(([name, texts]) => [name, isList(name) ? texts : texts[0]]));
  const parsed = schema.safeParse(values);
  if (!parsed.success) throw schemaViolated('body', fieldErrors(parsed.error));
  return parsed.data;
};

const bytesOf = async function* (parts: Parts, part: MultipartFile, limits: FormLimits): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of parts.bytesOf(part)) {
    size += chunk.length;
    if (size > limits.bytes_max) throw tooLarge(limits);
    yield chunk;
  }
  const more = await parts.next();
  if (more)
    throw schemaViolated('body', [
      field(more.fieldname, more.type === 'file' ? 'one file only' : 'fields stand before the file'),
    ]);
};

/** Whether there is nothing left of the body to be read (M5). */
const discardRest = (raw: IncomingMessage): Promise<boolean> => {
  raw.unpipe();
  return new Promise((resolve) => {
    let bytes = 0;
    const settle = () => {
      clearTimeout(timer);
      raw.off('data', count).off('end', settle).off('close', settle);
      resolve(raw.readableEnded);
    };
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > DISCARDED_BYTES_MAX) settle();
    };
    const timer = setTimeout(settle, DISCARD_MS);
    if (raw.readableEnded || raw.destroyed) return settle();
    raw.on('data', count).once('end', settle).once('close', settle).resume();
  });
};
