// Tables and texts that fit the terminal. In a pipe or a file nothing is broken or left out: a row is one line.
import stringWidth from 'string-width';
import { cut } from '../words/changes.ts';

/**
 * `right`: numbers. The words of a column that is `whole`, like those of numbers, are never broken: ids to copy. `long`:
 * names and values, which may have any length and are cut.
 */
export type Column = {
  readonly title: string;
  readonly right?: boolean;
  readonly whole?: boolean;
  readonly long?: boolean;
};

/** Returns the text without line breaks and escape codes, which names of a directory may contain. */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ');
}

type Grid = { readonly columns: readonly Column[]; readonly lines: ReadonlyArray<readonly string[]> };

const gap = '  ';
const leastWidth = 40;
/** The width from which the words of other columns may be broken. */
const breakable = 16;
/** The least width for a text beside its head. */
const leastText = 24;

/** Returns the columns of stdout: COLUMNS, or those of the terminal; without either, lines have no end. */
export function lineWidth(): number {
  const { env, stdout } = process;
  if (/^[1-9]\d{0,3}$/.test(env.COLUMNS ?? '')) return Math.max(leastWidth, Number(env.COLUMNS));
  return stdout.isTTY ? Math.max(leastWidth, stdout.columns || 80) : Number.POSITIVE_INFINITY;
}

const cutMark = /…"? \([\d,]+ characters\)/;

/**
 * Returns rows as an aligned table without frames, with a remark below it if values in it are cut. One that is wider than
 * `width` leaves out columns that say nothing, breaks cells, then puts all numbers into one column. One that is still wider
 * shows each row as lines of title and cell.
 */
export function table(
  columns: readonly Column[],
  lines: ReadonlyArray<ReadonlyArray<string | number>>,
  { width = lineWidth(), indent = 0 }: { width?: number; indent?: number } = {},
): string {
  const across = lines.reduce((most, line) => Math.max(most, line.length), columns.length);
  const grid = {
    columns: Array.from({ length: across }, (_, at) => columns[at] ?? { title: '' }),
    lines: lines.map((line) => line.map((cell, at) => onOneLine(columns[at]?.long ? cut(String(cell)) : String(cell)))),
  };
  const shown = fitted(grid, width - indent).replaceAll(/^(?=.)/gm, ' '.repeat(indent));
  return grid.lines.flat().some((cell) => cutMark.test(cell))
    ? `${shown}\n\nValues that end in … are cut -> --json shows them whole`
    : shown;
}

function fitted(grid: Grid, room: number): string {
  const natural = spansOf(grid);
  if (widthOf(natural) <= room) return aligned(grid, natural);
  const telling = withoutIdle(grid);
  for (const one of [telling, withCounts(telling)]) {
    const spans = spansOf(one);
    if (shrink(spans, room)) return aligned(one, spans);
  }
  return recordsOf(telling, room);
}

type Span = { width: number; readonly least: number };

function spansOf({ columns, lines }: Grid): Span[] {
  return columns.map(({ title, right, whole }, at) => {
    const texts = [title, ...lines.map((line) => line[at] ?? '')];
    const word = widest(texts.flatMap((text) => text.split(' ')));
    return { width: widest(texts), least: right || whole ? word : Math.min(word, breakable) };
  });
}

function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, stringWidth(text)), 0);
}

function widthOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { width }) => sum + width, gap.length * (spans.length - 1));
}

/** Narrows the widest columns first. Returns false if the least widths are too wide together. */
function shrink(spans: readonly Span[], room: number): boolean {
  while (widthOf(spans) > room) {
    const [first] = spans.filter(({ width, least }) => width > least).sort((one, other) => other.width - one.width);
    if (!first) return false;
    first.width -= 1;
  }
  return true;
}

const saysNothing = (cell: string | undefined) => cell === undefined || cell === '' || cell === '0';

function withoutIdle({ columns, lines }: Grid): Grid {
  const kept = columns.map((_, at) => at === 0 || lines.some((line) => !saysNothing(line[at])));
  const keep = <Item>(items: readonly Item[]) => items.filter((_, at) => kept[at]);
  return { columns: keep(columns), lines: lines.map(keep) };
}

// A line may end after a count, and not between its name and its number.
const unbroken = '\ue000';

function withCounts(grid: Grid): Grid {
  const { columns, lines } = grid;
  const first = columns.findIndex(({ right }) => right);
  if (columns.filter(({ right }) => right).length < 2) return grid;
  const keep = <Item>(items: readonly Item[], counts: Item) =>
    items.flatMap((item, at) => (at === first ? [counts] : columns[at]?.right ? [] : [item]));
  const countsOf = (line: readonly string[]) =>
    columns
      .map(({ title, right }, at) => (right && !saysNothing(line[at]) ? `${title} ${line[at]}` : ''))
      .filter((text) => text !== '')
      .map((text) => text.replaceAll(' ', unbroken))
      .join(', ');
  return {
    columns: keep<Column>(columns, { title: 'counts', whole: true }),
    lines: lines.map((line) => keep(line, countsOf(line))),
  };
}

function aligned({ columns, lines }: Grid, spans: readonly Span[]): string {
  const titles = columns.map(({ title }) => title);
  const rows = titles.some((title) => title !== '') ? [titles, ...lines] : lines;
  return rows.flatMap((row) => linesOf(row, columns, spans)).join('\n');
}

function linesOf(row: readonly string[], columns: readonly Column[], spans: readonly Span[]): string[] {
  const cells = spans.map(({ width }, at) => wrap(row[at] ?? '', width, partsOf));
  const height = Math.max(...cells.map((cell) => cell.length));
  return Array.from({ length: height }, (_, line) =>
    cells
      .map((cell, at) => pad(cell[line] ?? '', spans[at]?.width ?? 0, columns[at]?.right))
      .join(gap)
      .trimEnd()
      .replaceAll(unbroken, ' '),
  );
}

function pad(text: string, width: number, right = false): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(text)));
  return right ? `${space}${text}` : `${text}${space}`;
}

function recordsOf({ columns, lines }: Grid, room: number): string {
  const head = widest(columns.map(({ title }) => title));
  const recordOf = (line: readonly string[]) =>
    columns.flatMap(({ title }, at) => {
      const cell = line[at] ?? '';
      return saysNothing(cell) ? [] : hanging(`${pad(title, head)}${gap}`, cell, room);
    });
  return lines.map((line) => recordOf(line).join('\n')).join('\n\n');
}

/** Returns `text` after `head`, with its further lines under its first. Words stay whole: a link can be copied. */
export function hanging(head: string, text: string, width = lineWidth()): string {
  const indent = stringWidth(head);
  if (width - indent < leastText) return wrap(`${head}${text}`, width - gap.length).join(`\n${gap}`);
  return `${head}${wrap(text, width - indent).join(`\n${' '.repeat(indent)}`)}`;
}

/** Returns `text` after `head`, and its cure behind an arrow: on the same line if that fits, else on lines of its own. */
export function withCure(head: string, text: string, cure: string | null, width = lineWidth()): string {
  if (cure === null) return hanging(head, text, width);
  const whole = `${head}${text} -> ${cure}`;
  if (stringWidth(whole) <= width) return whole;
  return `${hanging(head, text, width)}\n${hanging(`${' '.repeat(stringWidth(head))}-> `, cure, width)}`;
}

/** Returns prose in lines of `width`. A list's further lines are indented like its text, others a little. */
export function paragraph(text: string, width = lineWidth()): string {
  if (stringWidth(text) <= width) return text;
  const [lead = ''] = /^\s*(\d+\. |- )?/.exec(text) ?? [];
  return lead === '' ? wrap(text, width - gap.length).join(`\n${gap}`) : hanging(lead, text.slice(lead.length), width);
}

const wholeWord = (word: string) => [word];

/** Breaks a text at its spaces, and a word that is longer than `width` as `breakWord` says. */
function wrap(text: string, width: number, breakWord: typeof partsOf = wholeWord): string[] {
  if (stringWidth(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (stringWidth(longer) <= width) line = longer;
    else {
      if (line !== '') lines.push(line);
      const parts = breakWord(word, width);
      line = parts.pop() ?? '';
      lines.push(...parts);
    }
  }
  return [...lines, line];
}

const graphemes = new Intl.Segmenter();

/** Breaks a word after its punctuation, as an id or an address has it; else anywhere. */
function partsOf(word: string, width: number): string[] {
  const parts: string[] = [];
  let part = '';
  for (const { segment } of graphemes.segment(word)) {
    if (part !== '' && stringWidth(part + segment) > width) {
      const after = /^.*[-_./@:]/su.exec(part)?.[0].length ?? 0;
      const end = after > part.length / 3 ? after : part.length;
      parts.push(part.slice(0, end));
      part = part.slice(end);
    }
    part += segment;
  }
  return [...parts, part];
}
