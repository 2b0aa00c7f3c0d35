// Names a licence by phrases that stand in its text and in no other's. The order matters where one text quotes another.

const LICENCE_FILE = /^(licen[sc]es?|copying|copyright|unlicense)([._-].*)?$/i;
/** More than the longest licence named here. */
export const LICENCE_BYTES_MAX = 64 * 1024;
export const UNRECOGNISED = 'unrecognised';

export const isLicenceFile = (name: string) =>
  LICENCE_FILE.test(name) && !/\.(go|ts|js|py|rs|java|c|h|json|html)$/i.test(name);

type Telltale = readonly [licence: string, ...phrases: string[]];

const GNU: readonly Telltale[] = [
  ['AGPL-3.0', 'gnu affero general public license', 'version 3'],
  ['LGPL-3.0', 'gnu lesser general public license', 'version 3'],
  ['LGPL-2.1', 'gnu lesser general public license', 'version 2.1'],
  ['LGPL-2.0', 'gnu library general public license', 'version 2'],
  ['GPL-3.0', 'gnu general public license', 'version 3'],
  ['GPL-2.0', 'gnu general public license', 'version 2'],
];

const REDISTRIBUTION = 'redistribution and use in source and binary forms';

const TELLTALES: readonly Telltale[] = [
  ['Apache-2.0', 'apache license', 'version 2.0, january 2004'],
  ['Apache-2.0', 'licensed under the apache license, version 2.0'],
  ['MPL-2.0', 'mozilla public license', 'version 2.0'],
  ['MPL-2.0', 'mozilla public license, v. 2.0'],
  ['EPL-2.0', 'eclipse public license - v 2.0'],
  ['BSL-1.0', 'boost software license - version 1.0'],
  ['CC0-1.0', 'cc0 1.0 universal'],
  ['Unlicense', 'this is free and unencumbered software released into the public domain'],
  ['BSD-4-Clause', REDISTRIBUTION, 'all advertising materials mentioning features'],
  ['BSD-3-Clause', REDISTRIBUTION, 'to endorse or promote products'],
  ['BSD-2-Clause', REDISTRIBUTION],
  [
    'MIT-0',
    'permission is hereby granted, free of charge, to any person obtaining a copy',
    'without restriction',
    'mit no attribution',
  ],
  ['MIT', 'permission is hereby granted, free of charge, to any person obtaining a copy', 'without restriction'],
  [
    'ISC',
    'permission to use, copy, modify, and/or distribute this software for any purpose',
    'provided that the above',
  ],
  ['ISC', 'permission to use, copy, modify, and distribute this software for any purpose', 'provided that the above'],
  ['0BSD', 'permission to use, copy, modify, and/or distribute this software for any purpose'],
  ['Zlib', 'the origin of this software must not be misrepresented', 'altered source versions'],
  ['WTFPL', 'do what the fuck you want to public license'],
];

/** How far a GNU text announces itself: further down the texts name one another. */
const HEADING_CHARACTERS = 400;

export const licenceOf = (source: string): string => {
  const plain = source
    .toLowerCase()
    .replace(/[\s#*;=]+/g, ' ')
    .replaceAll('licence', 'license');
  const heading = plain.slice(0, HEADING_CHARACTERS);
  return (announced(heading) ?? TELLTALES.find(holds(plain)) ?? announced(plain))?.[0] ?? UNRECOGNISED;
};

const holds = (where: string) => (telltale: Telltale) => telltale.slice(1).every((phrase) => where.includes(phrase));

/** The GNU licence named first. */
const announced = (where: string) => {
  const position = ([, name = '']: Telltale) => where.indexOf(name);
  const [first] = GNU.filter(holds(where)).sort((a, b) => position(a) - position(b));
  return first;
};
