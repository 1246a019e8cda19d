// Reads the YAML of settings: of files, and of forms.
import { readFileSync } from 'node:fs';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { ExpectedError } from '../errors.ts';
import { rememberSource } from './lines.ts';

/** Parses a YAML file without checking it. Throws `settings_invalid` if it is unreadable or not YAML. */
export function readSettingsFile(path: string): unknown {
  return parseSettings(readText(path), path);
}

/** Returns the text of a file. Throws `settings_invalid` if it is unreadable. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const isDirectory = (error as NodeJS.ErrnoException).code === 'EISDIR';
    throw new ExpectedError('settings_invalid', isDirectory ? `${path} is a directory` : `${path} cannot be read`, {
      cure: isDirectory ? 'name the YAML file in it' : 'check the path',
      cause: error,
    });
  }
}

/** {@link readSettingsFile} for a text. `path`: what messages call it. */
export function parseSettings(text: string, path: string): unknown {
  const parsed = parseYaml(text);
  if ('problem' in parsed) {
    throw new ExpectedError('settings_invalid', `${path} is not YAML: ${parsed.problem}`, {
      cure: 'correct that line',
      cause: parsed.cause,
    });
  }
  const { value, ...source } = parsed;
  // A file that was cut off while it was written must not pass for one that changes nothing.
  if (value === null) {
    throw new ExpectedError('settings_invalid', `${path} is empty: it names no setting`, {
      cure: 'write the keys that change; config/default.yaml shows every setting',
    });
  }
  rememberSource(value, source);
  return value;
}

type Parsed =
  | { readonly value: unknown; readonly document: Document; readonly lines: LineCounter }
  | { readonly problem: string; readonly cause: unknown };

/** Returns the value of a text of YAML, null for an empty one, or what is wrong with it. */
export function parseYaml(text: string): Parsed {
  try {
    const lines = new LineCounter();
    // The library's warnings quote the text, and go to the log of the process.
    const document = parseDocument(text, { prettyErrors: true, lineCounter: lines, logLevel: 'error' });
    const [error] = document.errors;
    if (error) throw error;
    const value: unknown = document.toJS({ maxAliasCount: 20 });
    requireNoCircle(value, new Set());
    return { value, document, lines };
  } catch (cause) {
    // Some faults are thrown, not listed, like an alias without an anchor.
    const [line = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    return { problem: line.replace(/:$/, ''), cause };
  }
}

// An alias may be inside its own anchor. Following it would never end.
function requireNoCircle(value: unknown, above: ReadonlySet<unknown>): void {
  if (typeof value !== 'object' || value === null) return;
  if (above.has(value)) throw new Error('an alias refers to a value that contains it');
  const within = new Set(above).add(value);
  for (const part of Object.values(value)) requireNoCircle(part, within);
}
