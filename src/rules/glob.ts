// Compares texts without case, and matches them with globs in linear time.

/** A text in the form in which conditions compare it: composed, in lower case. */
export function folded(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/**
 * Whether a folded text matches a folded glob, whole: `*` stands for any characters, `?` for one. It goes back to the last
 * star alone, so the time grows with the text's length and not with the number of stars.
 */
export function matchesGlob(text: string, glob: string): boolean {
  let [at, place] = [0, 0];
  let star: { place: number; at: number } | undefined;
  while (at < text.length) {
    const wanted = glob[place];
    if (wanted === '*') {
      star = { place, at };
      place += 1;
    } else if (wanted !== undefined && (wanted === '?' || wanted === text[at])) {
      at += 1;
      place += 1;
    } else if (star) {
      star = { place: star.place, at: star.at + 1 };
      at = star.at;
      place = star.place + 1;
    } else return false;
  }
  while (glob[place] === '*') place += 1;
  return place === glob.length;
}
