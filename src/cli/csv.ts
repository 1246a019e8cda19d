// Rows as CSV for a spreadsheet.

// A spreadsheet runs what begins like a formula, and takes the wide forms of these characters for the same.
// One that parts cells at semicolons or tabs knows no quote within a line, so that a cell may begin within one of ours.
const formulas = /^(?=[=+\-@\t\r\n＝＋－＠])|(?<=[;\t\r\n])(?=\s*[=+\-@＝＋－＠])/g;

/** Returns a line of CSV without its end (RFC 4180). An apostrophe stands before what a spreadsheet would run. */
export function csvLine(cells: readonly string[]): string {
  return cells.map(csvCell).join(',');
}

function csvCell(text: string): string {
  const safe = text.replace(formulas, "'");
  return safe !== text || /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
