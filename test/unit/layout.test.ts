// Tables and texts in the width of a terminal. Nothing that a row says may be lost.
import fc from 'fast-check';
import stringWidth from 'string-width';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type Column, hanging, lineWidth, paragraph, table, withCure } from '../../src/cli/layout.ts';

const id = '2f9b1c54-7a8e-4f7e-9a55-0d3f5f1c8e21';
const numbers = (...titles: string[]): Column[] => titles.map((title) => ({ title, right: true }));
const longest = (text: string) => Math.max(...text.split('\n').map((line) => stringWidth(line)));

const cycles = {
  columns: [
    ...[{ title: 'tenant' }, { title: 'cycle' }, { title: 'stream' }, { title: 'round' }],
    ...numbers('requests', 'seen', 'created', 'updated', 'suspended', 'removed', 'restored', 'members', 'seconds'),
  ],
  lines: [
    ['Contoso', 'initial', 'users', 'full, first round', '12', '2,000', '1,934', '0', '0', '0', '0', '0', '1.2'],
    ['Contoso', 'incremental', 'groups', 'incremental, changes', 1, 6, 3, 0, 0, 1, 0, '+4 -1', '0.4'],
  ],
};

test('a table that fits keeps every column, and so does one in a pipe', () => {
  const wide = table(cycles.columns, cycles.lines, { width: 200 });
  expect(wide).toBe(table(cycles.columns, cycles.lines, { width: Number.POSITIVE_INFINITY }));
  expect(wide.split('\n')).toEqual([
    'tenant   cycle        stream  round                 requests   seen  created  updated  suspended  removed  restored  members  seconds',
    'Contoso  initial      users   full, first round           12  2,000    1,934        0          0        0         0        0      1.2',
    'Contoso  incremental  groups  incremental, changes         1      6        3        0          0        1         0    +4 -1      0.4',
  ]);
});

test('a long name or value is cut where its column says so, and the table says once how it is seen whole', () => {
  const lines = [
    ['x'.repeat(200), 'y'.repeat(200)],
    ['z'.repeat(300), `"${'v'.repeat(119)}…" (500 characters)`],
  ];
  const shown = table([{ title: 'name', long: true }, { title: 'why' }], lines);
  expect(shown.split('\n').slice(1)).toEqual([
    `${'x'.repeat(119)}… (200 characters)  ${'y'.repeat(200)}`,
    `${'z'.repeat(119)}… (300 characters)  "${'v'.repeat(119)}…" (500 characters)`,
    '',
    'Values that end in … are cut -> --json shows them whole',
  ]);
  const cutBefore = table([], [['a field', `"${'v'.repeat(119)}…" (500 characters)`]], { width: 60 });
  expect(cutBefore).toMatch(/\n\nValues that end in … are cut -> --json shows them whole$/);
  expect(table([{ title: 'name', long: true }], [['a name … of a person']])).toBe('name\na name … of a person');
});

test('a wider table leaves out zeros, and puts its numbers into one column', () => {
  expect(table(cycles.columns, cycles.lines, { width: 80 }).split('\n')).toEqual([
    'tenant   cycle        stream  round                 counts',
    'Contoso  initial      users   full, first round     requests 12, seen 2,000,',
    '                                                    created 1,934, seconds 1.2',
    'Contoso  incremental  groups  incremental, changes  requests 1, seen 6,',
    '                                                    created 3, removed 1,',
    '                                                    members +4 -1, seconds 0.4',
  ]);
});

test('a text is broken under its column, a name that is an id after its hyphens', () => {
  const columns = [{ title: 'name' }, { title: 'what' }];
  const lines = [[id, 'two objects were set aside, since their data is refused']];
  expect(table(columns, lines, { width: 42, indent: 2 }).split('\n')).toEqual([
    '  name                 what',
    '  2f9b1c54-7a8e-4f7e-  two objects were',
    '  9a55-0d3f5f1c8e21    set aside, since',
    '                       their data is',
    '                       refused',
  ]);
});

test('where ids to copy leave no room for columns, each row is shown as lines', () => {
  const columns = [{ title: 'account', whole: true }, { title: 'name' }, { title: 'mail' }, { title: 'list' }];
  const lines = [
    [id, 'Zoë Schmidt-Lütz', 'zoe.schmidt-luetz@contoso.example', 'a'],
    [id, '', 'adele@contoso.example', 'b'],
  ];
  expect(table(columns, lines, { width: 60 }).split('\n')).toEqual([
    `account  ${id}`,
    'name     Zoë Schmidt-Lütz',
    'mail     zoe.schmidt-luetz@contoso.example',
    'list     a',
    '',
    `account  ${id}`,
    'mail     adele@contoso.example',
    'list     b',
  ]);
});

test('line breaks and escape codes of a name stay within its cell', () => {
  expect(table([{ title: 'name' }, { title: 'x' }], [['a\nb\u001b[2J', '1']])).toBe('name     x\na b [2J  1');
});

test('no width loses a character, or shows a longer line', () => {
  const cell = fc.string({ unit: fc.constantFrom(...'aeu ü漢-@.,'), maxLength: 90 });
  const all = (texts: readonly string[]) => [...texts.join('').replaceAll(/\s/g, '')].sort().join('');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { minLength: 1 }),
      fc.integer({ min: 60, max: 200 }),
      (rows, width) => {
        const lines = rows.map(([one, two, three]) => [`x${one}`, `x${two}`, `x${three}`]);
        const titles = ['first', 'second', 'third'];
        const shown = table(
          titles.map((title) => ({ title })),
          lines,
          { width },
        );
        expect(longest(shown)).toBeLessThanOrEqual(width);
        expect(all([shown])).toBe(all([...titles, ...lines.flat()]));
      },
    ),
  );
});

test('prose is broken at its words, a list under its text, and a link stays whole', () => {
  expect(paragraph('The consent page is served at the address below', 40)).toBe(
    'The consent page is served at the\n  address below',
  );
  expect(paragraph('   - Zoë McDonald no longer has a mobile phone', 40)).toBe(
    '   - Zoë McDonald no longer has a mobile\n     phone',
  );
  const link = `https://localhost:8080/connect/${'x'.repeat(60)}`;
  expect(paragraph(`open ${link} now`, 40)).toBe(`open\n  ${link}\n  now`);
  expect(hanging('  ok  name    ', 'a text that goes on under itself', 38)).toBe(
    '  ok  name    a text that goes on\n              under itself',
  );
});

test('a cure stays on the line if it fits, and else has lines of its own', () => {
  expect(withCure('failed  ', 'the table is locked', 'run it again', 80)).toBe(
    'failed  the table is locked -> run it again',
  );
  expect(withCure('failed  ', 'the table is locked by a session', 'run the command again', 44)).toBe(
    'failed  the table is locked by a session\n        -> run the command again',
  );
});

describe('the width', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test.each([
    ['120', 120],
    ['7', 40],
    ['', Number.POSITIVE_INFINITY],
    ['wide', Number.POSITIVE_INFINITY],
  ])('in a pipe with COLUMNS=%s is %d', (columns, width) => {
    vi.stubEnv('COLUMNS', columns);
    if (process.stdout.isTTY) return;
    expect(lineWidth()).toBe(width);
  });
});
