// Finds the prose of a file: comment blocks, test titles, paragraphs of Markdown, and the SQL in strings and templates.
// A lexer by hand, since TypeScript 7 has no compiler API: it knows strings, templates, regular expressions and comments.

/** One piece of prose, with the line on which it begins (from 1). */
export type Prose = { readonly line: number; readonly text: string };

type Kind = 'line' | 'block' | 'string' | 'template' | 'sql';
type Token = Prose & { readonly kind: Kind; readonly alone: boolean; readonly lastLine: number };

export type Scanned = { readonly comments: Prose[]; readonly titles: Prose[]; readonly literals: Span[] };
type Span = { readonly first: number; readonly last: number; readonly text: string };

const titleCall = /^(?:\w*Test|test|it|describe)(?:\.\w+(?:\(\))?)*$/;
const takesNoTitle = /\.(?:each|for|skipIf|runIf|extend)$/;
const regexMayFollow = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await|yield|throw))\s*$/;
const sql = new RegExp(
  [
    String.raw`\b(?:select|insert into|delete from|left join|cross join|join lateral|exists \(|not exists|coalesce\(|case when|interval ')`,
    String.raw`\bwhere [\w.]+ |\bset \w+ = |::[a-z]+\b|\bentra_sync\.\w+|\bfilter \(where|\b(?:on conflict|returning) `,
    String.raw`\b[a-z]\.[a-z]\w+ (?:=|<|>|is|in|<>|->>|and|or|->)|\b(?:and|or|on) \(?(?:not )?[a-z]\.[a-z]\w+|:[a-z]\w+\)? (?:and|or)\b`,
  ].join('|'),
);

/** Scans a TypeScript or JavaScript source. */
export function scanSource(text: string): Scanned {
  const tokens: Token[] = [];
  const titles: Prose[] = [];
  const literals: Span[] = [];
  const calls: string[] = [];
  let closed = '';
  let code = '';
  let line = 1;
  let at = 0;

  const advance = (end: number): string => {
    const taken = text.slice(at, end);
    line += taken.split('\n').length - 1;
    at = end;
    return taken;
  };
  const add = (kind: Kind, end: number, alone: boolean): Token => {
    const first = line;
    const taken = advance(end);
    const token = { kind, line: first, lastLine: line, text: taken, alone };
    tokens.push(token);
    return token;
  };
  const isAlone = () => text.slice(text.lastIndexOf('\n', at - 1) + 1, at).trim() === '';
  const title = (token: Token) => {
    const call = calls.at(-1) ?? '';
    if (code.trimEnd().endsWith('(') && titleCall.test(call) && !takesNoTitle.test(call)) {
      titles.push({ line: token.line, text: token.text.slice(1, -1) });
    }
    code = "''";
  };

  /** Reads a template from its opening backtick; the code in `${}` is read as code. */
  const template = (): void => {
    const start = at;
    const first = line;
    let end = at + 1;
    while (end < text.length && text[end] !== '`') {
      if (text[end] === '\\') end += 2;
      else if (text.startsWith('${', end)) {
        advance(end + 2);
        code = '{';
        readCode('}');
        end = at;
      } else end += 1;
    }
    advance(end + 1);
    const whole = text.slice(start, at);
    literals.push({ first, last: line, text: whole });
    if (sql.test(whole)) tokens.push(...sqlComments(whole, first));
  };

  const readCode = (until: string): void => {
    let depth = 0;
    while (at < text.length) {
      const here = text[at] ?? '';
      if (here === until && depth === 0) {
        advance(at + 1);
        return;
      }
      if (text.startsWith('//', at)) add('line', endOf(text, '\n', at, 0), isAlone());
      else if (text.startsWith('/*', at)) add('block', endOf(text, '*/', at + 2, 2), isAlone());
      else if (here === "'" || here === '"') {
        const token = add('string', endOfString(text, at), false);
        literals.push({ first: token.line, last: line, text: token.text });
        title(token);
      } else if (here === '`') {
        const before = code;
        const first = line;
        const start = at;
        template();
        code = before;
        title({ kind: 'template', line: first, lastLine: line, text: text.slice(start, at), alone: false });
      } else if (here === '/' && regexMayFollow.test(code.slice(-12))) {
        advance(endOfRegex(text, at));
        code = '/r/';
      } else {
        if (here === '(') {
          const name = /[\w.$]+$/.exec(code.trimEnd())?.[0] ?? '';
          calls.push(/^$|^\./.test(name) && /\)[\w.$]*$/.test(code.trimEnd()) ? `${closed}()${name}` : name);
        } else if (here === ')') closed = calls.pop() ?? '';
        if (here === '{') depth += 1;
        if (here === '}') depth -= 1;
        if (here !== '\n' || code.trim() !== '') code = (code + here).slice(-120);
        advance(at + 1);
      }
    }
  };

  readCode('');
  return { comments: blocks(tokens), titles, literals };
}

/** The comment blocks of a file of SQL statements. */
export function scanSql(text: string): Prose[] {
  return blocks(sqlComments(text, 1));
}

/** Paragraphs, list items and table rows of Markdown; code blocks, headings and rules of tables are none. */
export function scanMarkdown(text: string): Prose[] {
  const found: { line: number; text: string }[] = [];
  let open: { line: number; text: string } | undefined;
  let fenced = false;
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line.startsWith('```')) fenced = !fenced;
    const heading = /^(?:#|```|<|!\[|\|[\s:|-]+$)/.test(line);
    if (fenced || heading || line === '') {
      open = undefined;
      continue;
    }
    const item = /^(?:[-*]|\d+\.|\|)\s+(?:\[[ x]\] )?/.exec(line)?.[0];
    if (open === undefined || item !== undefined) {
      open = { line: index + 1, text: item === undefined ? line : line.slice(item.length) };
      found.push(open);
    } else open.text += ` ${line}`;
  }
  return found;
}

/** The lines over `most` columns that lie in a string or template of SQL. */
export function longSqlLines(text: string, most: number): Prose[] {
  const lines = text.split('\n');
  const numbers = new Set<number>();
  for (const { first, last, text: literal } of scanSource(text).literals) {
    if (!sql.test(literal)) continue;
    for (let line = first; line <= last; line += 1) if ((lines[line - 1] ?? '').length > most) numbers.add(line);
  }
  return [...numbers].sort((one, other) => one - other).map((line) => ({ line, text: (lines[line - 1] ?? '').trim() }));
}

function sqlComments(text: string, first: number): Token[] {
  return text.split('\n').flatMap((raw, index) => {
    const found = /(?:^|\s)--\s.*$/.exec(raw);
    // A quote that is open before the dashes makes them part of a string.
    if (found === null || (raw.slice(0, found.index).split("'").length - 1) % 2 === 1) return [];
    const line = first + index;
    const alone = raw.trim().startsWith('--');
    return [{ kind: 'sql' as const, line, lastLine: line, text: found[0].trim(), alone }];
  });
}

/** Comments as blocks: lines of their own that follow each other are one. Directives of tools are none. */
function blocks(tokens: readonly Token[]): Prose[] {
  const found: { line: number; text: string }[] = [];
  let last: Token | undefined;
  for (const token of [...tokens].sort((one, other) => one.line - other.line)) {
    if (token.kind === 'string' || token.kind === 'template') continue;
    const text = bare(token.text);
    if (text === '' || /^(?:biome-ignore|@ts-|@vitest|#)/.test(text)) continue;
    const open = found.at(-1);
    const continues = last?.alone && token.alone && last.kind === token.kind && last.lastLine + 1 === token.line;
    if (open !== undefined && continues && token.kind !== 'block') open.text += ` ${text}`;
    else found.push({ line: token.line, text });
    last = token;
  }
  return found;
}

const bare = (text: string) =>
  text
    .replace(/^(?:\/\/+|\/\*+|--)|\*\/$/g, '')
    .replace(/\n\s*\*/g, '\n')
    .replace(/\s+/g, ' ')
    .trim();

function endOf(text: string, mark: string, from: number, length: number): number {
  const end = text.indexOf(mark, from);
  return end < 0 ? text.length : end + length;
}

function endOfString(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && text[end] !== text[start] && text[end] !== '\n') end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

function endOfRegex(text: string, start: number): number {
  let inClass = false;
  for (let end = start + 1; end < text.length && text[end] !== '\n'; end += 1) {
    if (text[end] === '\\') end += 1;
    else if (text[end] === '[') inClass = true;
    else if (text[end] === ']') inClass = false;
    else if (text[end] === '/' && !inClass) return end + 1;
  }
  return start + 1;
}
