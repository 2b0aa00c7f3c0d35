import { canonical, sha256Hex } from '@nexusmon/event-log';
import { artifact_inputs, artifactDocument, upload_name } from '@nexusmon/vault-contract';
import { z } from 'zod';
import { commandOf, type Command, type CommandsInFlight } from '../http/commands.js';
import { withForm, type Form } from '../http/forms.js';
import { field } from '../http/problem.js';
import { defineRoute, type Answered, type Route } from '../http/route.js';
import type { Services } from '../http/services.js';
import { schemaViolated } from '../http/validation.js';
import type { UploadAdmission } from './upload-limits.js';
import { upload, type Recording } from './upload.js';

/** What may stand in Content-Type as it is. */
export const MEDIA_TYPE =
  /^[A-Za-z0-9!#$&^_.+-]{1,64}\/[A-Za-z0-9!#$&^_.+-]{1,64}(; ?[a-z-]{1,32}=[A-Za-z0-9_.+-]{1,64})*$/;
const BYTES = 'application/octet-stream';

const fields = z
  .strictObject({
    name: upload_name.optional().describe("Whose next version it is; the file's own name unless said."),
    media_type: z.string().max(256).regex(MEDIA_TYPE, 'not a media type').optional(),
    inputs: artifact_inputs.default([]).describe('What it was made from: the field, repeated.'),
  })
  .meta({ description: 'The fields stand before the file.' });
type Fields = z.infer<typeof fields>;

const nameOf = ({ fields: { name }, filename }: Form<Fields>): string => {
  if (name !== undefined) return name;
  const parsed = upload_name.safeParse(filename);
  if (parsed.success) return parsed.data;
  throw schemaViolated('body', [field('name', 'missing, and the file has no name that could stand for it')]);
};

const mediaTypeOf = ({ fields: { media_type }, media_type: of_part }: Form<Fields>): string =>
  media_type ?? (MEDIA_TYPE.test(of_part) ? of_part : BYTES);

/** What the key is bound to is known with the last byte. */
const boundTo = ({ asked }: Command, request: object): Recording['asked'] =>
  asked.request_digest === undefined ? asked : { ...asked, request_digest: sha256Hex(canonical(request)) };

export type UploadParts = Readonly<{ services: Services; in_flight: CommandsInFlight; uploads: UploadAdmission }>;

export const uploadRoute = (path: string, tag: string, { services, in_flight, uploads }: UploadParts): Route =>
  defineRoute({
    method: 'POST',
    path,
    summary: 'Upload a file as the next version of a name',
    tag,
    policy: { access: 'scope', scope: 'vault:write' },
    form: fields,
    headers: ['Idempotency-Key'],
    responses: { 201: { description: 'The artifact. Location names it.', schema: artifactDocument } },
    problems: ['input-unknown', 'log-read-only', 'store-full', 'too-many-uploads', 'upload-lost'],
    handler: (call) => {
      const command = commandOf(call, 'artifact.upload');
      const take = async (form: Form<Fields>): Promise<Answered> => {
        const { inputs } = form.fields;
        const about = { name: nameOf(form), media_type: mediaTypeOf(form), inputs };
        const { body, position } = await upload(services, form.bytes, inputs, (bytes) => ({
          asked: boundTo(command, { ...about, ...bytes }),
          ...about,
        }));
        return { status: 201, body, position, headers: { location: `${path}/${body.artifact_id}` } };
      };
      const limits = uploads.limitsFor(call.principal.actor);
      return withForm(call, fields, limits, (form) => in_flight.run(command, () => take(form)));
    },
  });
