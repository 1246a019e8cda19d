// The recorded and documented bodies of test/fixtures/graph-examples, with the request and answer from their index.
import { readFileSync } from 'node:fs';
import type { SelectedProperties } from '../../src/rules/decode.ts';
import { userProperties } from '../../src/rules/graph-properties.ts';

export type GraphExample = {
  file: string;
  kind: 'documented' | 'observed' | 'constructed';
  request: string;
  status: number;
  headers: Record<string, string>;
};

const folder = new URL('../fixtures/graph-examples/', import.meta.url);

export const graphExamples: readonly GraphExample[] = JSON.parse(readFileSync(new URL('index.json', folder), 'utf8'));

export function exampleBody(file: string): unknown {
  return JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
}

/** Returns the index entry of a file; throws if there is none. */
export function example(file: string): GraphExample {
  const found = graphExamples.find((one) => one.file === file);
  if (!found) throw new Error(`${file} is not in index.json`);
  return found;
}

/** Every property that a mapping may name, as the users stream selects it. */
export const allProperties: SelectedProperties = new Map(
  Object.entries(userProperties).flatMap(([name, { type, trackable }]) =>
    trackable && name !== 'id' ? [[name, type] as const] : [],
  ),
);
