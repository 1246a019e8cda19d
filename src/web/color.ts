// The colours that follow from the vendor's own: readable on the page, in light and in dark.

type Channels = readonly [red: number, green: number, blue: number];

const channelsOf = (color: string): Channels =>
  [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16)) as unknown as Channels;
const written = (channels: Channels) =>
  `#${channels.map((one) => Math.round(one).toString(16).padStart(2, '0')).join('')}`;

// WCAG 2.2, relative luminance.
function luminance(color: string): number {
  const [red, green, blue] = channelsOf(color).map((one) => {
    const share = one / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Channels;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Returns the contrast of two colours, 1 to 21 (WCAG 2.2). */
export function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((left, right) => left - right);
  return (light + 0.05) / (dark + 0.05);
}

/** WCAG asks for 4.5; the rest is for rounding. */
const least = 4.6;

/** Returns `color`, mixed with `end` until it can be read on `paper`. */
function readableOn(color: string, paper: string, end: string): string {
  const [from, to] = [channelsOf(color), channelsOf(end)];
  for (let part = 0; part < 1; part += 0.02) {
    const mixed = written(from.map((one, at) => one + ((to[at] ?? 0) - one) * part) as unknown as Channels);
    if (contrast(mixed, paper) >= least) return mixed;
  }
  return end;
}

export type Accent = { readonly accent: string; readonly onAccent: string };

/** Returns the accent for a light and a dark page, and the colour of text on it. */
export function accentsOf(
  color: string,
  papers: { readonly light: readonly string[]; readonly dark: readonly string[] },
): { light: Accent; dark: Accent } {
  const light = papers.light.reduce((mixed, paper) => readableOn(mixed, paper, '#000000'), color);
  const dark = papers.dark.reduce((mixed, paper) => readableOn(mixed, paper, '#ffffff'), color);
  const on = (accent: string) => (contrast(accent, '#ffffff') >= least ? '#ffffff' : '#000000');
  return { light: { accent: light, onAccent: on(light) }, dark: { accent: dark, onAccent: on(dark) } };
}
