// What people type on a command line as the values of fields.
import { ExpectedError } from '../errors.ts';
import type { ValueType } from '../rules/expressions.ts';
import { parseJson } from '../rules/json.ts';

/** Splits `field=value` words. Throws `usage` for a word without `=` and for a field that is named twice, reverts included. */
export function splitEdits(words: readonly string[], reverts: readonly string[]): Map<string, string> {
  const edits = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw usage(`${word} is no edit`, 'write field=value, or field= to clear it');
    const field = word.slice(0, at);
    if (edits.has(field)) throw usage(`the field ${field} is given twice`, 'say once what becomes of it');
    edits.set(field, word.slice(at + 1));
  }
  for (const [index, field] of reverts.entries()) {
    if (edits.has(field) || reverts.indexOf(field) !== index)
      throw usage(`the field ${field} is given twice`, 'say once what becomes of it');
  }
  return edits;
}

/** The value that `text` is for a field of this type; nothing clears it: null. Throws `usage` for what cannot be read so. */
export function fieldValue(field: string, type: ValueType, text: string): unknown {
  const value = text === '' ? null : read(field, type, text);
  // Postgres would refuse the whole statement for one of these.
  const texts = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');
  if (texts.every((one) => one.isWellFormed() && !one.includes('\0'))) return value;
  throw usage(`the value of ${field} holds a NUL or half a character`, 'leave it out');
}

function read(field: string, type: ValueType, text: string): unknown {
  switch (type) {
    case 'text':
      return text;
    case 'text[]':
      return text.trimStart().startsWith('[') ? list(field, text) : commaSeparated(text);
    case 'number': {
      const value = parseJson(text);
      if (typeof value === 'number') return value;
      throw usage(
        `the value of ${field} is no number`,
        'write digits that a number keeps, such as 7 or -0.5: at most 15',
      );
    }
    case 'boolean':
      if (text === 'true' || text === 'false') return text === 'true';
      throw usage(`the value of ${field} is neither true nor false`, 'write one of the two');
    case 'any': {
      const value = parseJson(text);
      return value === undefined ? text : value;
    }
  }
}

function list(field: string, text: string): unknown {
  const value = parseJson(text);
  if (Array.isArray(value)) return value;
  throw usage(
    `the value of ${field} is no list`,
    'separate texts by commas, or write a JSON array: ["+1 555", "+1 556"]',
  );
}

function commaSeparated(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function usage(message: string, cure: string): ExpectedError {
  return new ExpectedError('usage', message, { cure });
}
