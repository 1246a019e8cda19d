// Numbers as people read them.

/** 12345 -> 12,345 */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** "1 page", "2,000 objects". `of` stands between number and word. */
export function plural(value: number, word: string, of = ''): string {
  return `${count(value)}${of} ${word}${value === 1 && of === '' ? '' : 's'}`;
}
