// A list of tenants in a file, CSV or YAML, with the line of each: the input of `tenant add --file`.
import { readFileSync, statSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ExpectedError } from '../errors.ts';
import { asGuid } from '../rules/decode.ts';
import { plural } from './format.ts';

/** One tenant of a list. */
export type ListedTenant = {
  readonly line: number;
  readonly tenantId: string;
  readonly name: string;
  readonly ref: string | null;
};

type Row = { readonly line: number; readonly values: ReadonlyMap<string, string> };
type Read = { readonly rows: readonly Row[]; readonly problems: readonly string[] };

const columns = ['tenant', 'name', 'ref'];
const largest = 4 * 1024 * 1024;
const mostTenants = 10_000;

const form = 'the columns are tenant, name and ref; entra-sync tenant add --help has examples';

/** Returns the text of a file, or of stdin for `-`. Throws `usage`. */
export async function readTenantFile(path: string, stdin: AsyncIterable<unknown>): Promise<string> {
  const refuse = (problem: string, cause?: unknown) =>
    new ExpectedError('usage', `${path === '-' ? 'stdin' : path} ${problem}`, {
      cure: 'give a CSV or YAML file of at most 4 MiB, or - for stdin',
      cause,
    });
  const chunks: Buffer[] = [];
  if (path === '-') {
    let bytes = 0;
    for await (const chunk of stdin) {
      chunks.push(Buffer.from(chunk as Uint8Array));
      bytes += chunks.at(-1)?.length ?? 0;
      if (bytes > largest) throw refuse('is too large');
    }
  } else {
    try {
      const file = statSync(path);
      if (!file.isFile() || file.size > largest) throw refuse('cannot be used');
      chunks.push(readFileSync(path));
    } catch (error) {
      throw error instanceof ExpectedError ? error : refuse(whyUnread(error), error);
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw refuse('is not text in UTF-8', error);
  }
}

/** Returns the tenants of a file's text, in its order. Throws `usage` with a line for each problem. */
export function parseTenantFile(text: string, path: string): ListedTenant[] {
  const read = isYaml(text, path) ? readYaml(text) : readCsv(text);
  const checked = read.problems.length > 0 ? { tenants: [], problems: read.problems } : checkRows(read.rows);
  if (checked.problems.length > 0) throw fileProblems(path, checked.problems);
  return checked.tenants;
}

/** Returns the error for a list with problems. */
export function fileProblems(path: string, problems: readonly string[]): ExpectedError {
  const shown = path === '-' ? 'stdin' : path;
  return new ExpectedError('usage', `${shown} has ${plural(problems.length, 'problem')}, and nothing was registered`, {
    list: problems,
    cure: `correct the lines; ${form}`,
  });
}

// The name of a file says its form. Of stdin the first line does: only the head of a CSV has separators and no colon.
function isYaml(text: string, path: string): boolean {
  if (/\.ya?ml$/i.test(path)) return true;
  if (/\.(csv|txt)$/i.test(path)) return false;
  const head = text.split('\n').find((line) => line.trim() !== '' && !line.startsWith('#')) ?? '';
  return /^\s*(-|\[|\w+:|---)/.test(head) && !/^\uFEFF?"?tenant"?\s*[,;\t]/i.test(head);
}

function readCsv(text: string): Read {
  const [head, ...records] = recordsOf(text.replace(/^\uFEFF/, ''));
  if (!head) return { rows: [], problems: ['there is no line with the names of the columns'] };
  const names = head.cells.map((cell) => cell.trim().toLowerCase());
  const problems = [
    ...columnProblems(names, head.line),
    ...(head.open ? [`line ${head.line}: a quote is not closed`] : []),
  ];
  const rows = records.flatMap(({ line, cells, open }): Row[] => {
    if (open) problems.push(`line ${line}: a quote is not closed`);
    else if (cells.length !== names.length)
      problems.push(
        `line ${line} has ${plural(cells.length, 'value')}, and there are ${plural(names.length, 'column')}`,
      );
    else return [{ line, values: new Map(names.map((name, at) => [name, cells[at] ?? ''])) }];
    return [];
  });
  return { rows, problems };
}

function columnProblems(names: readonly string[], line: number): string[] {
  const unknown = names.filter((name) => !columns.includes(name));
  const twice = names.filter((name, at) => names.indexOf(name) !== at);
  const missing = ['tenant', 'name'].filter((name) => !names.includes(name));
  return [
    ...unknown.map(
      (name) => `line ${line}: there is no column ${JSON.stringify(name)} (there are ${columns.join(', ')})`,
    ),
    ...twice.map((name) => `line ${line}: the column ${name} is there twice`),
    ...missing.map((name) => `line ${line}: the column ${name} is missing`),
  ];
}

type CsvRecord = { line: number; cells: string[]; open: boolean };

/** Splits CSV (RFC 4180) into records. The separator is that of the first line: comma, semicolon or tab. */
function recordsOf(text: string): CsvRecord[] {
  const separator = /[,;\t]/.exec(text.split('\n')[0] ?? '')?.[0] ?? ',';
  const records: CsvRecord[] = [];
  let [line, start, cell, quoted] = [1, 1, '', false];
  let cells: string[] = [];
  const end = (open = false) => {
    const isBlank = cells.length === 0 && cell.trim() === '';
    if (!isBlank && !(cells.length === 0 && cell.startsWith('#')))
      records.push({ line: start, cells: [...cells, cell], open });
    [cells, cell] = [[], ''];
  };
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at] ?? '';
    if (one === '\n') line += 1;
    if (quoted) {
      if (one !== '"') cell += one;
      else if (text[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (one === '"' && cell.trim() === '') [quoted, cell] = [true, ''];
    else if (one === separator) {
      cells.push(cell);
      cell = '';
    } else if (one === '\n') {
      end();
      start = line;
    } else if (one !== '\r') cell += one;
  }
  end(quoted);
  return records;
}

function readYaml(text: string): Read {
  const counter = new LineCounter();
  // Every value is text: a reference like 0017 keeps its zeros.
  const document = parseDocument(text, { lineCounter: counter, schema: 'failsafe', prettyErrors: false });
  const lineAt = (offset: number) => counter.linePos(offset).line;
  const [error] = document.errors;
  if (error) return { rows: [], problems: [`line ${lineAt(error.pos[0])}: this is not YAML`] };
  const list = document.contents;
  if (!isSeq(list)) return { rows: [], problems: ['the file is not a list: each tenant begins with a dash'] };
  const problems: string[] = [];
  const rows = list.items.flatMap((item): Row[] => {
    const line = lineAt((item as Node | null)?.range?.[0] ?? 0);
    if (!isMap(item)) {
      problems.push(`line ${line}: a tenant has the keys ${columns.join(', ')}`);
      return [];
    }
    const values = new Map<string, string>();
    for (const { key, value } of item.items) {
      const name = String(isScalar(key) ? key.value : key);
      const place = lineAt((key as Node | null)?.range?.[0] ?? 0);
      if (!columns.includes(name))
        problems.push(`line ${place}: there is no key ${JSON.stringify(name)} (there are ${columns.join(', ')})`);
      else if (value !== null && !isScalar(value)) problems.push(`line ${place}: ${name} is not text`);
      else values.set(name, isScalar(value) ? String(value.value ?? '') : '');
    }
    return [{ line, values }];
  });
  return { rows, problems };
}

function checkRows(rows: readonly Row[]): { tenants: ListedTenant[]; problems: string[] } {
  if (rows.length === 0) return { tenants: [], problems: ['no tenant is listed'] };
  if (rows.length > mostTenants) return { tenants: [], problems: [`more than ${mostTenants} tenants are listed`] };
  const [ids, names] = [new Map<string, number>(), new Map<string, number>()];
  const problems: string[] = [];
  const tenants = rows.flatMap(({ line, values }): ListedTenant[] => {
    const value = (name: string) => (values.get(name) ?? '').trim();
    const [tenantId, name, ref] = [asGuid(value('tenant')), value('name'), value('ref')];
    const before = problems.length;
    const say = (problem: string) => problems.push(`line ${line}: ${problem}`);
    if (tenantId === undefined) say(`${shortened(value('tenant'))} is no tenant id (a GUID)`);
    if (!isLabel(name)) say('the name must have 1 to 200 printable characters');
    if (ref !== '' && !isLabel(ref)) say('the ref must have at most 200 printable characters');
    const [sameId, sameName] = [ids.get(tenantId ?? ''), names.get(name.toLowerCase())];
    if (sameId !== undefined) say(`tenant ${tenantId} is on line ${sameId} too`);
    if (name !== '' && sameName !== undefined) say(`the name ${shortened(name)} is on line ${sameName} too`);
    if (tenantId !== undefined) ids.set(tenantId, sameId ?? line);
    names.set(name.toLowerCase(), sameName ?? line);
    return tenantId === undefined || problems.length > before
      ? []
      : [{ line, tenantId, name, ref: ref === '' ? null : ref }];
  });
  return { tenants, problems };
}

/** Whether a text can be a tenant's name or reference. */
export function isLabel(text: string): boolean {
  return text !== '' && text.length <= 200 && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

const shortened = (text: string) => JSON.stringify(text.slice(0, 80));

function whyUnread(error: unknown): string {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read';
}
