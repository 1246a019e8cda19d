// CSV by RFC 4180, and safe against formulas.
import { expect, test } from 'vitest';
import { csvLine } from '../../src/rules/csv.ts';

test.each([
  [['a', 'b c', ''], 'a,b c,'],
  [['a,b', 'say "no"', 'two\r\nlines'], '"a,b","say ""no""","two\r\nlines"'],
  [['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '＝1', '\r=1'], `"'=1+1","'+1","'-1","'@SUM(A1)","'\t'=1","'＝1","'\r'=1"`],
  // A spreadsheet that parts cells at semicolons or tabs takes no quote within a line for one.
  [['x;=1+1;', 'x; \t@a', 'x\n-1', 'a; b-c'], `"x;'=1+1;","x; \t'@a","x\n'-1",a; b-c`],
  // It takes the two quotes that stand for one at the beginning of its cell for an empty text, and goes on behind them.
  [['x;"=1+1;', 'x\n ""@a'], `"x;""'=1+1;","x\n """"'@a"`],
  [['=HYPERLINK("http://x","y")'], `"'=HYPERLINK(""http://x"",""y"")"`],
  [['a=1', "O'Hara"], "a=1,O'Hara"],
])('%j', (cells, line) => {
  expect(csvLine(cells)).toBe(line);
});

test('a cell of spaces alone takes no time that grows with its square', () => {
  const began = performance.now();
  csvLine(['\n \t'.repeat(20_000)]);
  expect(performance.now() - began).toBeLessThan(1_000);
});
