// A small part of OData's $filter, enough to cut a listing into partitions; anything else is refused, never ignored.
import { isKnownProperty, type StreamName } from '../tenant/properties.ts';
import type { Entity } from '../tenant/truth.ts';

type Test = (entity: Entity) => boolean;

const tokenPattern = /\s*(?:('(?:[^']|'')*')|(\d{4}-\d\d-\d\dT[\d:.]+Z)|([A-Za-z_][\w.]*)|(\(|\)|,))/y;

function tokenize(text: string): string[] | undefined {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const match = tokenPattern.exec(text);
    if (match === null) {
      return undefined;
    }
    tokens.push(match[0].trim());
  }
  return tokens;
}

function literal(token: string): string | boolean | null | undefined {
  if (token.startsWith("'")) {
    return token.slice(1, -1).replaceAll("''", "'");
  }
  const words: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };
  return Object.hasOwn(words, token) ? words[token] : /^\d{4}-/.test(token) ? token : undefined;
}

const fold = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : (value ?? null));

function compare(operator: string, left: unknown, right: unknown): boolean {
  if (operator === 'eq' || operator === 'ne') {
    return (left === right) === (operator === 'eq');
  }
  if (typeof left !== 'string' || typeof right !== 'string') {
    return false;
  }
  const order = left < right ? -1 : left > right ? 1 : 0;
  return { lt: order < 0, le: order <= 0, gt: order > 0, ge: order >= 0 }[operator] ?? false;
}

/**
 * Turns a `$filter` into a test. Understood: `and`, `or`, `not`, parentheses, eq ne lt le gt ge, startsWith, in. Text is
 * compared without regard to case. Gives the refusal's message for anything else.
 */
export function compileFilter(stream: StreamName, text: string | undefined): Test | string {
  if (text === undefined || text.trim() === '') {
    return () => true;
  }
  const tokens = tokenize(text);
  if (tokens === undefined) {
    return `Invalid filter clause: ${text}`;
  }
  let position = 0;
  const take = () => tokens[position++] ?? '';
  const peek = () => tokens[position] ?? '';
  const expect = (wanted: string) => {
    if (take().toLowerCase() !== wanted) {
      throw new SyntaxError(`'${wanted}' expected`);
    }
  };
  const property = () => {
    const name = take();
    if (!isKnownProperty(stream, name)) {
      throw new SyntaxError(`no property '${name}'`);
    }
    return (entity: Entity) => fold(name === 'id' ? entity.id : entity.properties[name]);
  };
  const constant = () => {
    const value = literal(take());
    if (value === undefined) {
      throw new SyntaxError('a value expected');
    }
    return fold(value);
  };

  function factor(): Test {
    const word = peek().toLowerCase();
    if (word === 'not') {
      take();
      const inner = factor();
      return (entity) => !inner(entity);
    }
    if (word === '(') {
      take();
      const inner = disjunction();
      expect(')');
      return inner;
    }
    if (word === 'startswith') {
      take();
      expect('(');
      const read = property();
      expect(',');
      const start = constant();
      expect(')');
      return (entity) => typeof start === 'string' && String(read(entity) ?? '').startsWith(start);
    }
    const read = property();
    const operator = take().toLowerCase();
    if (operator === 'in') {
      expect('(');
      const values = [constant()];
      while (peek() === ',') {
        take();
        values.push(constant());
      }
      expect(')');
      return (entity) => values.includes(read(entity));
    }
    if (!['eq', 'ne', 'lt', 'le', 'gt', 'ge'].includes(operator)) {
      throw new SyntaxError(`no operator '${operator}'`);
    }
    const value = constant();
    return (entity) => compare(operator, read(entity), value);
  }

  function conjunction(): Test {
    const tests = [factor()];
    while (peek().toLowerCase() === 'and') {
      take();
      tests.push(factor());
    }
    return (entity) => tests.every((test) => test(entity));
  }

  function disjunction(): Test {
    const tests = [conjunction()];
    while (peek().toLowerCase() === 'or') {
      take();
      tests.push(conjunction());
    }
    return (entity) => tests.some((test) => test(entity));
  }

  try {
    const test = disjunction();
    return position === tokens.length ? test : `Invalid filter clause: ${text}`;
  } catch (cause) {
    return `Invalid filter clause: ${cause instanceof Error ? cause.message : text}`;
  }
}
