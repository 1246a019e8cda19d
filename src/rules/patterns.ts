// Patterns of fields: the part of regular expressions that Postgres, which checks them, matches in one pass, so that no value
// makes one slow, and that a browser's form reads alike. JavaScript tries the ways to part a value: match none of them by it.

/** Characters of a pattern, and the parts that it has with its repetitions written out. */
const maxLength = 200;
const maxParts = 1_000;
const maxRepeats = 255;

/** Returns what is wrong with a pattern; undefined if it can be used. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '') return 'is empty';
  if (pattern.length > maxLength) return `has more than ${maxLength} characters`;
  const text = { pattern, at: 0 };
  const parts = choiceOf(text, 0);
  if (typeof parts === 'string') return parts;
  if (text.at < pattern.length) return 'has a ) without its (';
  return parts > maxParts ? 'repeats too much within what is repeated' : undefined;
}

// A set has single characters, ranges of them, and \d, \w, \s. Browsers want punctuation in a set escaped.
const inSet = String.raw`(?:[^\\[\]\s-]|[ \u00a0]|\\[-\\\][^$.*+?(){}|/])`;
const atomAtStart = new RegExp(
  String.raw`^(?:\[\^?(?:${inSet}(?:-${inSet})?|\\[dws]|-(?=\]))+\]|\\[dwsDWS]|\\[^\w\s]|[^\\[])`,
  'su',
);

type Reading = { readonly pattern: string; at: number };

const next = ({ pattern, at }: Reading) => pattern[at];

/** Reads up to the end, or to the bracket that closes a group. Returns the parts, or what is wrong. */
function choiceOf(text: Reading, depth: number): number | string {
  if (depth > 10) return 'is nested more than 10 deep';
  let parts = 1;
  for (let char = next(text); char !== undefined && char !== ')'; char = next(text)) {
    if (char === '|') {
      text.at += 1;
      continue;
    }
    const one = atomOf(text, depth);
    if (typeof one === 'string') return one;
    const times = repeatsOf(text);
    if (typeof times === 'string') return times;
    parts += one * times;
  }
  return parts;
}

function atomOf(text: Reading, depth: number): number | string {
  const rest = text.pattern.slice(text.at);
  if (/^[\^$]/.test(rest)) return 'matches the whole value: leave out ^ and $';
  if (/^[?*+{}\]]/.test(rest)) return `has a ${rest[0]} where nothing can be repeated or closed: write \\${rest[0]}`;
  if (rest.startsWith('(')) {
    if (/^\(\?(?!:)/.test(rest)) return 'may have no other (? than (?:';
    text.at += rest.startsWith('(?:') ? 3 : 1;
    const parts = choiceOf(text, depth + 1);
    if (typeof parts === 'string') return parts;
    if (next(text) !== ')') return 'has a ( without its )';
    text.at += 1;
    return parts;
  }
  const [atom] = atomAtStart.exec(rest) ?? [];
  if (atom === undefined) {
    return rest.startsWith('[')
      ? 'has a set [ ] that is not characters, ranges, \\d, \\w or \\s'
      : `has ${rest.slice(0, 2)}: of escapes there are \\d, \\w, \\s, their opposites, and those of punctuation`;
  }
  text.at += atom.length;
  return 1;
}

/** Reads a quantifier, if there is one. */
function repeatsOf(text: Reading): number | string {
  const rest = text.pattern.slice(text.at);
  const found = /^([?*+]|\{(\d{1,3})(,(\d{1,3})?)?\})/.exec(rest);
  if (!found) return rest.startsWith('{') ? 'has a { that is no count like {2} or {2,5}: write \\{' : 1;
  text.at += found[0].length;
  if (/^[?*+{]/.test(rest.slice(found[0].length))) return 'has two counts of repetition in a row';
  const [, , least = '1', , most = least] = found;
  if (Number(most) > maxRepeats || Number(least) > maxRepeats) return `repeats more than ${maxRepeats} times`;
  if (Number(most) < Number(least)) return `has {${least},${most}}, which no text can have`;
  return Math.max(1, Number(most));
}
