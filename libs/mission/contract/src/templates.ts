// The parameters of the templates that come with the product. What a template plans is in the domain.

import { text, type FieldError } from '@nexusmon/shared-contract';
import type { JsonObject } from '@nexusmon/kernel';
import { z } from 'zod';

export const templateParams = {
  'repository-report': z
    .strictObject({
      path: text(1, 4_096).meta({
        description: 'A folder or git repository under the allowed roots; a relative path starts at the first of them.',
      }),
    })
    .meta({ id: 'RepositoryReportParams' }),
} as const;

export type TemplateName = keyof typeof templateParams;
export type TemplateParams = { [Name in TemplateName]: z.infer<(typeof templateParams)[Name]> };
/** A template by name with parameters that its schema has accepted. */
export type TemplateCall = {
  [Name in TemplateName]: Readonly<{ name: Name; params: TemplateParams[Name] }>;
}[TemplateName];

export type ParsedTemplate =
  Readonly<{ kind: 'call'; call: TemplateCall }> | Readonly<{ kind: 'refused'; errors: FieldError[] }>;

const isTemplateName = (name: string): name is TemplateName => Object.hasOwn(templateParams, name);

/** Paths are those of the create body: `template` when there is none of that name, else `params/<field>`. */
export const parseTemplate = (name: string, params: JsonObject): ParsedTemplate => {
  if (!isTemplateName(name)) {
    const known = Object.keys(templateParams).join(', ');
    return {
      kind: 'refused',
      errors: [{ path: 'template', message: `no template of this name; there are: ${known}` }],
    };
  }
  const parsed = templateParams[name].safeParse(params);
  if (parsed.success) return { kind: 'call', call: { name, params: parsed.data } };
  const errors = parsed.error.issues.map(({ path, message }) => ({ path: ['params', ...path].join('/'), message }));
  return { kind: 'refused', errors };
};
