// Rows as CSV for a spreadsheet.

// A spreadsheet runs what begins like a formula, and takes the wide forms of these characters for the same.
// One that parts cells at semicolons or tabs knows no quote within a line, so that a cell may begin within one of ours, and with a
// quote of ours. The formula's character comes first here: else each of many spaces would be tried as a beginning.
const formulas = /^(?=[=+\-@\t\r\n＝＋－＠])|(?=[=+\-@＝＋－＠])(?<=[;\t\r\n][\s"]*)/g;

// Digits and what people write between them: nothing in it runs, and an apostrophe would spoil the number.
const phoneNumber = /^\+[\d\s()./-]{3,40}$/;

/** A cell of a column of phone numbers: one that is a number keeps its plus sign as it is. */
export type PhoneCell = { readonly phone: string };

/** Returns a line of CSV without its end (RFC 4180). An apostrophe stands before what a spreadsheet would run. */
export function csvLine(cells: readonly (string | PhoneCell)[]): string {
  return cells
    .map((cell) => {
      if (typeof cell === 'string') return csvCell(cell);
      return phoneNumber.test(cell.phone) && !/[\t\r\n]/.test(cell.phone) ? cell.phone : csvCell(cell.phone);
    })
    .join(',');
}

function csvCell(text: string): string {
  const safe = text.replace(formulas, "'");
  return safe !== text || /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
