// Rows as CSV for a spreadsheet.

// A spreadsheet runs what begins like a formula, and takes the wide forms of these characters for the same.
const formula = /^[=+\-@\t\r\n＝＋－＠]/;

/** Returns a line of CSV without its end (RFC 4180). A cell that a spreadsheet would run begins with an apostrophe. */
export function csvLine(cells: readonly string[]): string {
  return cells.map(csvCell).join(',');
}

function csvCell(text: string): string {
  const safe = formula.test(text) ? `'${text}` : text;
  return safe !== text || /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
