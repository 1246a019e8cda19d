// Progress of long work on stderr: a moving bar on a terminal, else a line every few seconds.
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { Progress } from '../engine/stream.ts';
import { shortened } from '../words/shortened.ts';
import { count, plural } from './format.ts';
import { onOneLine } from './layout.ts';
import type { Terminal } from './terminal.ts';

export type ProgressView = { update(progress: Progress): void; done(): void };

const quietMs = 5_000;

export type ProgressOptions = {
  /** The name of the tenant, where a command runs several. */
  readonly of?: string | undefined;
  /** The transaction is rolled back, so it only compares. */
  readonly dryRun?: boolean;
};

/** Opens the progress of a cycle: pages, objects and objects per second, then the commit, which a dry run takes back. */
export function openProgress(terminal: Terminal, { of, dryRun = false }: ProgressOptions = {}): ProgressView {
  const words: Words = dryRun ? { ...phases, commit: 'comparing' } : phases;
  return terminal.lively ? movingBar(terminal, words, of) : plainLines(terminal, words, of);
}

/** The progress that nothing shows. */
export const noProgress: ProgressView = { update: () => {}, done: () => {} };

function movingBar(terminal: Terminal, words: Words, of: string | undefined): ProgressView {
  // A name leaves room for the bar in 80 columns.
  const prefix = of === undefined ? '' : `${shortened(onOneLine(of), 20)} `;
  const bars = new MultiBar(
    {
      stream: process.stderr,
      format: '{stream} {phase} [{bar}] {told}',
      hideCursor: true,
      clearOnComplete: false,
      // Narrow, so that the line fits 80 columns.
      barsize: 12,
      fps: 8,
    },
    Presets.legacy,
  );
  const started = performance.now();
  const shown = new Map<string, { bar: SingleBar; first: number }>();
  const barOf = (stream: string, objects: number) => {
    const there = shown.get(stream);
    if (there) return there;
    const bar = bars.create(1, 0, { stream: `${prefix}${stream.padEnd(6)}`, phase: 'reading', told: '' });
    const made = { bar, first: objects };
    shown.set(stream, made);
    return made;
  };
  terminal.beforeNote = () => bars.stop();
  return {
    update: (progress) => {
      const { stream, phase, objects, total } = progress;
      const { bar, first } = barOf(stream, objects);
      // Without a total, reading fills half of the bar, and writing the rest.
      bar.setTotal(Math.max(total ?? objects * 2, objects, 1));
      bar.update(phase === 'commit' ? bar.getTotal() : objects, {
        phase: words[phase],
        told: told(progress, total, speed(Math.max(0, objects - first), started)),
      });
    },
    done: () => {
      bars.stop();
      terminal.beforeNote = undefined;
    },
  };
}

const phases = { list: 'listing', show: 'showing', pull: 'reading', ask: 'asking', commit: 'writing' };

type Words = Readonly<Record<keyof typeof phases, string>>;

function plainLines(terminal: Terminal, words: Words, of: string | undefined): ProgressView {
  const prefix = of === undefined ? '' : `${onOneLine(of)}, `;
  const started = performance.now();
  const printed = new Map<string, { at: number; phase: string }>();
  return {
    update: (progress) => {
      const { stream, phase, objects, total } = progress;
      const now = performance.now();
      const last = printed.get(stream) ?? { at: started, phase: 'pull' };
      // The start of a commit is always printed, other phases every few seconds.
      const isCommit = phase === 'show' || phase === 'commit';
      if ((phase === last.phase || !isCommit) && now - last.at < quietMs) return;
      printed.set(stream, { at: now, phase });
      // Tombstones and repetitions count as objects too, so the total is a guess until the end.
      const guess = phase === 'pull' || phase === 'ask' ? total : undefined;
      terminal.note(`${prefix}${stream}: ${words[phase]}, ${told(progress, guess, speed(objects, started))}`);
    },
    done: () => {},
  };
}

function told({ objects, pages }: Progress, total: number | undefined, perSecond: string): string {
  const of = total === undefined ? '' : ` of ${count(Math.max(total, objects))}`;
  return `${plural(objects, 'object', of)} on ${plural(pages, 'page')}${perSecond}`;
}

/** Returns the objects per second; nothing while no rate is known. */
function speed(objects: number, started: number): string {
  const seconds = (performance.now() - started) / 1000;
  return seconds < 1 || objects === 0 ? '' : `, ${count(Math.round(objects / seconds))}/s`;
}
