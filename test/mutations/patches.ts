// The patches of this folder. Each breaks one rule of docs/rules.md and names, above its diff, the tests that must notice.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Mutation = {
  /** The file's name without its ending. */
  readonly name: string;
  readonly file: string;
  /** The rules that it breaks. */
  readonly rules: readonly number[];
  /** The damage, in words. */
  readonly breaks: string;
  /** Test files that run against it. */
  readonly tests: readonly string[];
  /** A pattern of the titles that run; undefined: all tests of the files. */
  readonly titles: string | undefined;
};

const folder = import.meta.dirname;

/** Reads every patch of this folder, by name. Throws if one lacks a line of its head. */
export function readMutations(): Mutation[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.patch'))
    .sort()
    .map((file) => {
      const [head = ''] = readFileSync(join(folder, file), 'utf8').split(/^diff /m);
      const line = (key: string) => new RegExp(`^${key}: (.+)$`, 'm').exec(head)?.[1];
      const required = (key: string) => {
        const value = line(key);
        if (value === undefined) throw new Error(`${file} has no line '${key}: …' above its diff`);
        return value;
      };
      return {
        name: file.replace(/\.patch$/, ''),
        file: join(folder, file),
        rules: required('Rule').split(', ').map(Number),
        breaks: required('Breaks'),
        tests: required('Tests').split(', '),
        titles: line('Titles'),
      };
    });
}
