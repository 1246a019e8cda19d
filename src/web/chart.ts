// Charts as SVG made on the server. Each has a sentence for those who do not see it, and a table beside it.
import { type Html, html, nothing } from './html.ts';

export type Bar = { readonly value: number; readonly bad: boolean; readonly says?: string };

/** The number of bars from which a chart has its whole width, so that its right end is now. */
export const fullChart = 30;

/**
 * Returns bars, oldest first. Each has a height, so that a quiet cycle is seen too; a square root keeps small values
 * visible beside a large one.
 */
export function bars(
  values: readonly Bar[],
  { width, height, label, wide = false }: { width: number; height: number; label: string; wide?: boolean },
): Html {
  const most = Math.max(1, ...values.map((one) => one.value));
  // A few bars stand at the left, as those to come will.
  const step = width / Math.max(values.length, fullChart);
  const gap = step > 8 ? 3 : 1;
  const drawn = values.map((one, index) => {
    const tall = Math.max(1.5, Math.sqrt(one.value / most) * (height - 4));
    const kind = one.bad ? 'bad' : index === values.length - 1 ? 'last' : 'usual';
    return html`<rect class="${kind}" x="${(index * step).toFixed(1)}" y="${(height - 2 - tall).toFixed(1)}" width="${Math.max(1, step - gap).toFixed(1)}" height="${tall.toFixed(1)}" rx="1">${one.says === undefined ? nothing : html`<title>${one.says}</title>`}</rect>`;
  });
  return html`<svg class="chart${wide ? ' wide' : ''}" role="img" aria-label="${label}" width="${wide ? '100%' : width}" height="${height}" viewBox="0 0 ${width} ${height}"${wide ? html` preserveAspectRatio="none"` : nothing}>${drawn}</svg>`;
}
