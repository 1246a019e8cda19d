// Texts cut to a width.
import stringWidth from 'string-width';

const graphemes = new Intl.Segmenter();

/** Returns a text of at most `width` columns: one that is longer ends in an ellipsis, and no character is cut in two. */
export function shortened(text: string, width: number): string {
  // One letter may carry thousands of marks, so the code units are bounded too.
  const most = 8 * width;
  if (text.length <= most && (text.length <= width / 2 || stringWidth(text) <= width)) return text;
  let kept = '';
  let columns = 0;
  for (const { segment } of graphemes.segment(text.slice(0, most))) {
    columns += stringWidth(segment);
    // The last one within the bound may be a half.
    if (columns >= width || kept.length + segment.length >= most) break;
    kept += segment;
  }
  return `${kept.trimEnd()}…`;
}
