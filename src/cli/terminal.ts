// The output of a command: the answer on stdout, all else on stderr.
import { createInterface } from 'node:readline/promises';
import { describeDefect, ExpectedError, exitCodeOf } from '../errors.ts';
import { onOneLine, paragraph } from './layout.ts';

export type Terminal = {
  readonly json: boolean;
  readonly verbose: boolean;
  /** Whether stderr is a terminal, where a progress bar may move. */
  readonly lively: boolean;
  /** Prints lines of the answer, broken to fit the terminal; with --json nothing. */
  say(text?: string): void;
  /** Prints a line of the answer as it stands, to copy or to read by a program; with --json nothing. */
  print(line: string): void;
  /** Prints the whole answer as one object with --json; otherwise nothing. */
  answer(value: unknown): void;
  /** Prints a remark on stderr. */
  note(line: string): void;
  /** Runs before every remark, to stop a moving progress bar. */
  beforeNote: (() => void) | undefined;
};

/** Returns lines without escape codes, which names of a directory and typed words may contain. */
const withoutEscapes = (lines: string) =>
  lines.replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, (one) => (one === '\n' ? one : ' '));

/** Opens the terminal of one command. */
export function openTerminal(options: { json: boolean; verbose: boolean }): Terminal {
  const terminal: Terminal = {
    ...options,
    lively: process.stderr.isTTY === true,
    say: (text = '') => terminal.print(withoutEscapes(text).replaceAll(/.+/g, (line) => paragraph(line))),
    print: (line) => {
      if (!options.json) process.stdout.write(`${line}\n`);
    },
    answer: (value) => {
      if (options.json) process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note: (line) => {
      terminal.beforeNote?.();
      process.stderr.write(`${withoutEscapes(line)}\n`);
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

/** Asks a person on the terminal; undefined where there is none to ask. */
export async function askPerson(question: string, signal: AbortSignal): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await asking.question(question, { signal });
  } finally {
    asking.close();
  }
}
