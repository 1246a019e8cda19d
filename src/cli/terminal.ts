// The output of a command: the answer on stdout, all else on stderr.
import Table from 'cli-table3';
import { describeDefect, ExpectedError, exitCodeOf } from '../errors.ts';

export type Terminal = {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Whether stderr is a terminal, where a progress bar may move. */
  readonly lively: boolean;
  /** Prints a line of the answer; with --json nothing. */
  say(line?: string): void;
  /** Prints the whole answer as one object with --json; otherwise nothing. */
  answer(value: unknown): void;
  /** Prints a remark on stderr. */
  note(line: string): void;
  /** Runs before every remark, to stop a moving progress bar. */
  beforeNote: (() => void) | undefined;
};

/** Opens the terminal of one command. */
export function openTerminal(options: { json: boolean; verbose: boolean }): Terminal {
  const terminal: Terminal = {
    ...options,
    lively: process.stderr.isTTY === true,
    say: (line = '') => {
      if (!options.json) process.stdout.write(`${line}\n`);
    },
    answer: (value) => {
      if (options.json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note: (line) => {
      terminal.beforeNote?.();
      process.stderr.write(`${line}\n`);
    },
    beforeNote: undefined,
  };
  return terminal;
}

/** Shows an expected error as one line after `where`, or a defect with its stack; returns the exit code. */
export function showError(terminal: Terminal, error: unknown, where = ''): number {
  const exitCode = exitCodeOf(error);
  if (error instanceof ExpectedError) {
    terminal.note(`entra-sync: ${where}${error.message}${error.cure ? ` -> ${error.cure}` : ''}`);
    for (const item of error.list) terminal.note(`  ${onOneLine(item)}`);
    if (terminal.verbose && error.detail) terminal.note(`detail: ${error.detail}`);
    const { code, message, cure = null, list } = error;
    terminal.answer({ error: { code, message, cure, ...(list.length > 0 && { list }), exitCode } });
    return exitCode;
  }
  terminal.note(`entra-sync: a defect, please report it: ${describeDefect(error)}`);
  terminal.answer({ error: { code: 'defect', message: 'a defect, see stderr', cure: null, exitCode } });
  return exitCode;
}

/** Returns the text without line breaks and escape codes, which names of a directory may contain. */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, ' ');
}

export type Column = { readonly title: string; readonly right?: boolean };

/** Returns rows as an aligned table without frames, easy to paste and grep. */
export function table(columns: readonly Column[], lines: ReadonlyArray<ReadonlyArray<string | number>>): string {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
  };
  const made = new Table({
    head: columns.map((column) => column.title),
    colAligns: columns.map((column) => (column.right ? 'right' : 'left')),
    chars: { ...none, left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
  });
  made.push(...lines.map((line) => line.map((cell) => onOneLine(String(cell)))));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
