// Values of fields as people type them on a command line.
import { ExpectedError } from '../errors.ts';
import type { ValueType } from '../rules/expressions.ts';
import { parseJson } from '../rules/json.ts';

/**
 * Splits `field=value` words. Throws `usage` for a word without `=`, and for a field given twice, also in `reverts`.
 */
export function splitEdits(words: readonly string[], reverts: readonly string[]): Map<string, string> {
  const edits = new Map<string, string>();
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw usage(`${word} is not an edit`, 'write field=value, or field= to clear it');
    const field = word.slice(0, at);
    if (edits.has(field)) throw usage(`the field ${field} is given twice`, 'give it once');
    edits.set(field, word.slice(at + 1));
  }
  for (const [index, field] of reverts.entries()) {
    if (edits.has(field) || reverts.indexOf(field) !== index)
      throw usage(`the field ${field} is given twice`, 'give it once');
  }
  return edits;
}

/** Returns `text` as a value of this type; null for empty text, which clears. Throws `usage` for invalid text. */
export function fieldValue(field: string, type: ValueType, text: string): unknown {
  const value = text === '' ? null : read(field, type, text);
  // Postgres rejects the whole statement for a NUL or a lone surrogate.
  const texts = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string');
  if (texts.every((one) => one.isWellFormed() && !one.includes('\0'))) return value;
  throw usage(`the value of ${field} contains a NUL or half a character`, 'leave it out');
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
      throw usage(`the value of ${field} is not a number`, 'write at most 15 digits, such as 7 or -0.5');
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
    `the value of ${field} is not a list`,
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
