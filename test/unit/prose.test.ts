// The scanner behind `npm run prose`: it finds comments, titles and paragraphs, and nothing else.
import { describe, expect, test } from 'vitest';
import { isHeadless, usesPronoun } from '../../scripts/prose/rules.ts';
import { longSqlLines, scanMarkdown, scanSource, scanSql } from '../../scripts/prose/scan.ts';

const lines = (...parts: string[]) => parts.join('\n');

describe('comments', () => {
  test('consecutive lines are one block, a trailing comment is its own', () => {
    const text = lines('// one', '// two', 'const a = 1; // three', '', '// four');
    expect(scanSource(text).comments).toEqual([
      { line: 1, text: 'one two' },
      { line: 3, text: 'three' },
      { line: 5, text: 'four' },
    ]);
  });

  test('a docstring is one block without its stars', () => {
    const text = lines('/**', ' * Reads it.', ' * Throws nothing.', ' */', 'let a;', '/** Short. */');
    expect(scanSource(text).comments).toEqual([
      { line: 1, text: 'Reads it. Throws nothing.' },
      { line: 6, text: 'Short.' },
    ]);
  });

  test('strings, templates and regular expressions hold none', () => {
    const text = lines(
      "const a = 'http://x';",
      'const b = `http://x`;',
      String.raw`const c = /\/\/[/*]/.test(a) ? 1 / 2 : 3;`,
    );
    expect(scanSource(text).comments).toEqual([]);
  });

  test('a comment of SQL in a template counts, also after a nested template', () => {
    const text = lines(
      'const q = `',
      `\${a ? \`x.y = 1\` : \`}\`}`,
      '-- Who is away.',
      'select 1 -- ours',
      "where a = '-- no'`;",
      '// end',
    );
    expect(scanSource(text).comments).toEqual([
      { line: 3, text: 'Who is away.' },
      { line: 4, text: 'ours' },
      { line: 6, text: 'end' },
    ]);
  });

  test('directives of tools do not count', () => {
    expect(scanSource('// biome-ignore lint: why').comments).toEqual([]);
  });

  test('a file of SQL has blocks too', () => {
    expect(scanSql(lines('-- one', '-- two', 'create table a (', '  b int -- three', ');'))).toEqual([
      { line: 1, text: 'one two' },
      { line: 4, text: 'three' },
    ]);
  });
});

test('titles are found, also of tables and of conditions', () => {
  const text = lines(
    "describe('one', () => {",
    "  test('two', () => call('no'));",
    "  test.each([['a', (b)]])('three %s', () => {});",
    `  test.skipIf(\`\${a}\` === b).each([[1, 'no']])(`,
    '    `four`, () => {});',
    "  attest('no');",
    '});',
  );
  expect(scanSource(text).titles.map(({ line, text: title }) => `${line} ${title}`)).toEqual([
    '1 one',
    '2 two',
    '3 three %s',
    '5 four',
  ]);
});

test('paragraphs, items and rows of Markdown are found, headings and code are not', () => {
  const text = lines(
    '# Head',
    '',
    'One',
    'two.',
    '',
    '- item',
    '  more',
    '- other',
    '```sh',
    'code',
    '```',
    '| a | b |',
    '|---|---|',
  );
  expect(scanMarkdown(text)).toEqual([
    { line: 3, text: 'One two.' },
    { line: 6, text: 'item more' },
    { line: 8, text: 'other' },
    { line: 12, text: 'a | b |' },
  ]);
});

test.each([
  ['What is held stays.', true],
  ['Of whoever has an account.', true],
  ['rule 19: whose mail is odd', true],
  ['Who may use it?', false],
  ['Offers a step.', false],
  ['Reads what is held.', false],
])('%s: headless %s', (text, expected) => {
  expect(isHeadless(text)).toBe(expected);
});

test.each([
  ['Nobody is removed.', true],
  ['for somebody else', true],
  ['the user who signed in', false],
  ['not `whoever` here', false],
])('%s: pronoun %s', (text, expected) => {
  expect(usesPronoun(text)).toBe(expected);
});

test('long lines of SQL are named, those of other templates are not', () => {
  const long = 'x'.repeat(130);
  const text = lines('const a = `', `select ${long}`, '`;', `const b = \`${long}\`;`);
  expect(longSqlLines(text, 120)).toEqual([{ line: 2, text: `select ${long}` }]);
});
