// Compares texts without case, and matches them with globs in linear time.

/** A text in the form in which conditions compare it: composed, in lower case. */
export function folded(text: string): string {
  // ASCII is composed already, and most texts are ASCII.
  return /[^\0-\x7f]/.test(text) ? text.normalize('NFC').toLowerCase() : text.toLowerCase();
}

/**
 * Whether a folded text matches a folded glob, whole: `*` stands for any characters, `?` for one. It goes back to the last
 * star alone, so the time grows with the text's length and not with the number of stars.
 */
export function matchesGlob(text: string, glob: string): boolean {
  let at = 0;
  let place = 0;
  let starPlace = -1;
  let starAt = 0;
  while (at < text.length) {
    const wanted = place < glob.length ? glob.charCodeAt(place) : none;
    if (wanted === anyText) {
      starPlace = place;
      starAt = at;
      place += 1;
    } else if (wanted === anyOne || wanted === text.charCodeAt(at)) {
      at += 1;
      place += 1;
    } else if (starPlace >= 0) {
      starAt += 1;
      at = starAt;
      place = starPlace + 1;
    } else return false;
  }
  while (glob.charCodeAt(place) === anyText) place += 1;
  return place === glob.length;
}

const anyText = '*'.charCodeAt(0);
const anyOne = '?'.charCodeAt(0);
const none = -1;
