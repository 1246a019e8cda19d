// The pages of the documentation (README.md and docs/): their text, headings and fenced blocks.
import { readdirSync, readFileSync } from 'node:fs';
import { packageFile } from '../../src/package-files.ts';

/** A fenced block. `info` is the mark after its language: what runs the block, if the test of the pages does not. */
export type Block = { readonly line: number; readonly language: string; readonly info: string; readonly text: string };

export type Page = { readonly path: string; readonly text: string; readonly blocks: readonly Block[] };

export function readPages(): Page[] {
  const docs = readdirSync(packageFile('docs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.md'),
  );
  return ['README.md', ...docs.map((name) => `docs/${name}`)].map(readPage);
}

export function readPage(path: string): Page {
  const text = readFileSync(packageFile(path), 'utf8');
  return { path, text, blocks: blocksOf(text) };
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(\w*) ?(.*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const [, language = '', info = '', body = ''] = match;
    return { line: text.slice(0, match.index).split('\n').length, language, info, text: body };
  });
}

export function proseOf({ text }: Page): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, '');
}

/** Returns GitHub's anchors of a page's headings. */
export function anchorsOf(page: Page): string[] {
  const given = new Map<string, number>();
  return [...proseOf(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, title = '']) => {
    const anchor = title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-');
    const before = given.get(anchor) ?? 0;
    given.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

/** Returns the cells of the table below a heading, by row, without its head. */
export function tableOf(page: Page, heading: string): string[][] {
  const [, section = ''] = page.text.split(`\n## ${heading}\n`);
  const rows = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('|'));
  const isHead = (index: number) => /^\|[-|]+\|$/.test(rows[index] ?? '') || /^\|[-|]+\|$/.test(rows[index + 1] ?? '');
  return rows.flatMap((row, index) =>
    isHead(index)
      ? []
      : [
          row
            .split('|')
            .slice(1, -1)
            .map((cell) => cell.trim()),
        ],
  );
}

export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
