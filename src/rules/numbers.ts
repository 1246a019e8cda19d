// Numbers as people read them.

/** 12345 -> 12,345 */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** "1 page", "2,000 objects". `of` stands between number and word. */
export function plural(value: number, word: string, of = ''): string {
  return `${count(value)}${of} ${word}${value === 1 && of === '' ? '' : 's'}`;
}

/** "1 person", "2,000 people"; above `most`, where no more are counted, "more than 1,000 people". */
export function people(value: number, most = value): string {
  if (value > most) return `more than ${people(most)}`;
  return `${count(value)} ${value === 1 ? 'person' : 'people'}`;
}

/** Seconds in the largest unit that fits: 45 s, 12 min, 3 h, 5 d. */
export function duration(seconds: number): string {
  if (Math.round(seconds) < 60) return `${Math.round(seconds)} s`;
  if (Math.round(seconds / 60) < 60) return `${Math.round(seconds / 60)} min`;
  if (Math.round(seconds / 3600) < 48) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
