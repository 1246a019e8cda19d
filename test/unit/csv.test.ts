// CSV by RFC 4180, and safe against formulas.
import { expect, test } from 'vitest';
import { csvLine } from '../../src/cli/csv.ts';

test.each([
  [['a', 'b c', ''], 'a,b c,'],
  [['a,b', 'say "no"', 'two\r\nlines'], '"a,b","say ""no""","two\r\nlines"'],
  [['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '＝1', '\r=1'], `"'=1+1","'+1","'-1","'@SUM(A1)","'\t'=1","'＝1","'\r'=1"`],
  // A spreadsheet that parts cells at semicolons or tabs takes no quote within a line for one.
  [['x;=1+1;', 'x; \t@a', 'x\n-1', 'a; b-c'], `"x;'=1+1;","x;' \t'@a","x\n'-1",a; b-c`],
  [['=HYPERLINK("http://x","y")'], `"'=HYPERLINK(""http://x"",""y"")"`],
  [['a=1', "O'Hara"], "a=1,O'Hara"],
])('%j', (cells, line) => {
  expect(csvLine(cells)).toBe(line);
});
