// One case of the bench: what it is given and what it answers with.
import type { Size } from './directory.ts';
import type { Postgres } from './ground.ts';
import type { Section } from './report.ts';

export type Bench = {
  readonly postgres: Postgres;
  readonly size: Size;
  readonly isLarge: boolean;
  readonly times: number;
  /** Prints a line of progress. */
  readonly note: (line: string) => void;
};

export type Case = (bench: Bench) => Promise<Section>;
