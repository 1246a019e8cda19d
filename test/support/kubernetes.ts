// Renders overlays by kubectl, and checks manifests against the schemas of Kubernetes and of the Prometheus Operator.
import { execFile } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { packageFile } from '../../src/package-files.ts';

const execute = promisify(execFile);

export type Manifest = {
  apiVersion: string;
  kind: string;
  metadata: { name?: string; namespace?: string };
  spec: Record<string, unknown>;
};

/** Reads the documents of a text of YAML. */
export function manifestsOf(text: string): Manifest[] {
  return parseAllDocuments(text, { merge: true }).map((document) => document.toJS());
}

/** Renders a folder by `kubectl kustomize`. */
export async function render(kubectl: string, folder: string): Promise<Manifest[]> {
  const { stdout } = await execute(kubectl, ['kustomize', folder]);
  return manifestsOf(stdout);
}

/** Returns the module that has the schemas of a group. */
function moduleOf({ apiVersion }: Manifest): string {
  const operator = apiVersion.startsWith('monitoring.coreos.com/');
  return `${operator ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'}/${apiVersion}`;
}

/** `index`: the manifest's place in the list. */
export type Problem = { readonly index: number; readonly says: string };

/**
 * Returns what the schemas say against the manifests, by way of files in the empty `folder`: wrong values and missing fields,
 * and by the types that are made of the schemas unknown fields, which the schemas leave open and the API server refuses.
 */
export async function problemsOf(manifests: readonly Manifest[], folder: string): Promise<Problem[]> {
  await mkdir(folder, { recursive: true });
  await symlink(packageFile('.ci', 'servers', 'node_modules'), join(folder, 'node_modules'));
  const values = manifests.flatMap((manifest, index) => {
    return [
      `import { ${manifest.kind} as Kind${index} } from '${moduleOf(manifest)}';`,
      `try { new Kind${index}(${JSON.stringify(manifest)}).validate(); } catch (error) { console.log('${index}: ' + error.message); }`,
    ];
  });
  const types = manifests.flatMap((manifest, index) => [
    `import type { I${manifest.kind} as Kind${index} } from '${moduleOf(manifest)}';`,
    `export const manifest${index}: Kind${index} = ${JSON.stringify(manifest)};`,
  ]);
  await writeFile(join(folder, 'values.mjs'), values.join('\n'));
  await writeFile(join(folder, 'types.mts'), types.join('\n'));
  const options = {
    compilerOptions: { strict: true, noEmit: true, skipLibCheck: true, module: 'nodenext', types: [] },
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ ...options, files: ['types.mts'] }));
  const tsc = packageFile('node_modules', 'typescript', 'bin', 'tsc');
  const outputs = await Promise.all([
    execute(process.execPath, [join(folder, 'values.mjs')]),
    execute(process.execPath, [tsc, '--project', folder]).catch((error: { stdout: string }) => error),
  ]);
  const lines = outputs.flatMap(({ stdout }) => stdout.split('\n').filter((line) => line !== ''));
  return lines.map((line) => {
    // A manifest has two lines in types.mts; a message may go on in a line of its own.
    const [, typed] = /types\.mts\((\d+),/.exec(line) ?? [];
    const index = typed === undefined ? Number.parseInt(line, 10) : (Number(typed) - 2) / 2;
    return { index, says: line };
  });
}
