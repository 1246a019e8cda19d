// The report: measurements as aligned tables, and the marks with their results.
import { table } from '../src/cli/layout.ts';

export type Mark = {
  readonly mark: string;
  readonly wanted: string;
  readonly found: string;
  readonly reached: boolean;
};

export type Section = {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly marks: readonly Mark[];
};

const markHead = ['mark', 'wanted', 'found', ''];

function markRows(marks: readonly Mark[]): string[][] {
  return marks.map(({ mark, wanted, found, reached }) => [mark, wanted, found, reached ? 'reached' : 'NOT REACHED']);
}

export function asText(sections: readonly Section[]): string {
  const parts = sections.flatMap(({ title, head, rows }) => [title, textTable(head, rows), '']);
  const marks = sections.flatMap((section) => section.marks);
  return `${[...parts, 'Marks', textTable(markHead, markRows(marks))].join('\n')}\n`;
}

/** Returns the report for bench/RESULTS.md. */
export function asMarkdown(sections: readonly Section[], command: string): string {
  const parts = sections.map(({ title, head, rows }) => `### ${title}\n\n${markdownTable(head, rows)}\n`);
  const marks = sections.flatMap((section) => section.marks);
  return `\n\`${command}\`\n\n${markdownTable(markHead, markRows(marks))}\n\n${parts.join('\n')}\n`;
}

function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const titles = head.map((title) => ({ title }));
  return table(titles, rows, { indent: 1 });
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const [low = Number.NaN, high = Number.NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

export const inSeconds = (seconds: number) => `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
export const inMilliseconds = (seconds: number) => `${Math.round(seconds * 1000)} ms`;
export const inMegabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
export const times = (ratio: number) => `${ratio.toFixed(2)} x`;
export const percent = (part: number) => `${(part * 100).toFixed(1)} %`;
