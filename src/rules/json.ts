// Parses JSON from Graph and keeps the digits of numbers that do not fit a double.

// A number value with many digits or an exponent. Pages without one take the fast path; a match inside a text only
// costs time.
const candidate = /[:[,]\s*-?(?:\d[\d.]{15}|\d[\d.]*[eE])/;
const nothingElse = /^\s*-?\d/;

type ReviverContext = { readonly source?: string };

/**
 * Parses JSON. A number that a double would change (beyond 2^53, 0.12345678901234567, 1e400) becomes a string of its
 * digits, as OData writes it with `IEEE754Compatible=true`. Returns undefined for invalid JSON.
 */
export function parseJson(text: string): unknown {
  try {
    return candidate.test(text) || nothingElse.test(text)
      ? (JSON.parse as ParseWithSource)(text, keepDigits)
      : JSON.parse(text);
  } catch {
    return undefined;
  }
}

// TypeScript's library lacks the reviver's source text so far.
type ParseWithSource = (
  text: string,
  reviver: (key: string, value: unknown, context: ReviverContext) => unknown,
) => unknown;

function keepDigits(_key: string, value: unknown, { source }: ReviverContext): unknown {
  return typeof value === 'number' && source !== undefined && !isSame(source, value) ? source : value;
}

function isSame(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return false;
  // Integers by size alone, so that a counter keeps its type from one value to the next.
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value);
  return decimal(source) === decimal(String(value));
}

// A canonical form: the digits without zeros at either end, and an exponent.
function decimal(text: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const kept = digits.replace(/0+$/, '');
  if (kept === '') return '0';
  return `${sign}${kept}e${BigInt(power) - BigInt(fraction.length) + BigInt(digits.length - kept.length)}`;
}
