// Foreign text inside our Markdown: file names, commit messages, comments, goals.
//
//   M1. It reads as what it is and does nothing: no HTML, no link, no emphasis, no table cell or line of its own.
//   M2. Invisible and direction-changing characters are shown by their code, so that what is read is what is there.

const MARKUP = /[\\`*_[\]<>|~&$]|(?<=[A-Za-z0-9._+-])@|^[#+-]|(?<=^\d{1,9})[.)]/g;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu;
const ENTITIES: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;' };

export const markdownText = (value: string): string =>
  value
    .replace(INVISIBLE, codeOf)
    .replace(MARKUP, (character) => ENTITIES[character] ?? `\\${character}`)
    // A bare address becomes a link in many dialects; an entity in it keeps it text.
    .replace(/:(?=\/\/)/g, '&#58;')
    .replace(/\b(www)\./gi, '$1&#46;');

const codeOf = (character: string) =>
  `{U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}}`;

export const markdownTable = (head: readonly string[], rows: readonly (readonly (string | number)[])[]): string => {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? String(cell) : markdownText(cell))).join(' | ')} |`;
  const [first] = rows;
  const rule = `| ${head.map((_, column) => (typeof first?.[column] === 'number' ? '---:' : '---')).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
};
