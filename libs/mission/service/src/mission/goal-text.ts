/**
 * Text as it is searched, and what is searched for: letters that differ in case alone are one. What a letter becomes
 * does not depend on what stands beside it, so that a part of a word is found in it.
 */
export const foldCase = (text: string): string => text.toLowerCase().replaceAll('ς', 'σ');
