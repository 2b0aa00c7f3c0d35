/** Words that stand in goals of every kind and so say nothing about which template fits. */
const COMMON = new Set(
  (
    'about after all also and any are before but can does each for from get give has have how into its make more need not now ' +
    'off one our out over please should some than that the their them then there these they this through too use using want ' +
    'was were what when where which will with would you your'
  ).split(' '),
);
const LETTERS_MIN = 3;

/** The telling words of a text, lower-case, each once, in order of appearance. A plural counts as its singular. */
export const goalWords = (text: string): string[] => {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const told = words.filter((word) => word.length >= LETTERS_MIN && !COMMON.has(word));
  return [...new Set(told.map(singular))];
};

const singular = (word: string) => {
  if (word.endsWith('ies') && word.length > 4) return `${word.slice(0, -3)}y`;
  return word.endsWith('s') && !word.endsWith('ss') && word.length > LETTERS_MIN ? word.slice(0, -1) : word;
};
