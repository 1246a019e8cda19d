// Follows the Dockerfile without an engine: its steps are run in folders of this machine, one for each stage.
import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { packageFile } from '../../src/package-files.ts';

const execute = promisify(execFile);

type Step = { readonly word: string; readonly rest: string };
type Stage = { readonly name: string; readonly base: string; readonly steps: readonly Step[] };

export type Image = {
  /** The folder that is the root of the image. */
  readonly root: string;
  readonly environment: Record<string, string>;
  readonly directory: string;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** The command of HEALTHCHECK. */
  readonly health: readonly string[];
};

/** Reads the stages of a Dockerfile. An argument of the build has its default. */
export function readStages(text: string): Stage[] {
  const args = new Map<string, string>();
  const stages: { name: string; base: string; steps: Step[] }[] = [];
  const lines = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  for (const line of lines) {
    const [, word = '', written = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    const rest = word === 'RUN' ? written : written.replaceAll(/\$\{(\w+)\}/g, (_, name) => args.get(name) ?? '');
    if (word === 'ARG') args.set(rest.slice(0, rest.indexOf('=')), rest.slice(rest.indexOf('=') + 1));
    else if (word === 'FROM') {
      const [base = '', , name = `${stages.length}`] = rest.split(/\s+/);
      stages.push({ name, base, steps: [] });
    } else stages.at(-1)?.steps.push({ word, rest });
  }
  return stages;
}

/** Builds images from the checkout's Dockerfile in a new folder, each stage once. */
export async function openBuild(onEnd: (end: () => Promise<void>) => void) {
  const folder = await mkdtemp(join(tmpdir(), 'entra-sync-image-'));
  onEnd(() => rm(folder, { recursive: true, force: true }));
  const stages = readStages(await readFile(packageFile('Dockerfile'), 'utf8'));
  const isSent = readIgnore(await readFile(packageFile('.dockerignore'), 'utf8'));
  const built = new Map<Stage, Promise<Image>>();

  const build = (target?: string): Promise<Image> => {
    const stage = target === undefined ? stages.at(-1) : stages.find(({ name }) => name === target);
    if (!stage) throw new Error(`the Dockerfile has no stage ${target}`);
    const image = built.get(stage) ?? follow(stage);
    built.set(stage, image);
    return image;
  };

  async function follow(stage: Stage): Promise<Image> {
    const root = join(folder, stage.name);
    await mkdir(root);
    const base = stages.some(({ name }) => name === stage.base) ? await build(stage.base) : undefined;
    // Links, since steps replace files and never change one in place.
    if (base) await copyInto(base.root, root);
    let image: Image = base
      ? { ...base, root }
      : { root, environment: {}, directory: '/', user: '', entrypoint: [], command: [], health: [] };
    for (const step of stage.steps) image = await take(image, step);
    return image;
  }

  async function take(image: Image, { word, rest }: Step): Promise<Image> {
    const place = (path: string) => join(image.root, path.startsWith('/') ? path : join(image.directory, path));
    switch (word) {
      case 'WORKDIR':
        await mkdir(place(rest), { recursive: true });
        return { ...image, directory: join(image.directory, rest) };
      case 'ENV':
        return { ...image, environment: { ...image.environment, ...Object.fromEntries([rest.split('=')]) } };
      case 'RUN':
        await runStep(rest, place('.'));
        return image;
      case 'COPY': {
        const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? [];
        const names = paths.split(/\s+/);
        const target = names.pop() ?? '';
        const other = from === undefined ? undefined : await build(from);
        for (const name of names) {
          if (!other && !isSent(name)) throw new Error(`${name} is not sent to the engine: .dockerignore`);
          const source = other ? join(other.root, name) : packageFile(name);
          const isFolder = (await stat(source)).isDirectory();
          if (isFolder) await copyInto(source, place(target), other !== undefined);
          else await cp(source, target.endsWith('/') ? join(place(target), basename(name)) : place(target));
        }
        return image;
      }
      case 'USER':
        return { ...image, user: rest };
      case 'ENTRYPOINT':
        return { ...image, entrypoint: JSON.parse(rest) };
      case 'CMD':
        return { ...image, command: JSON.parse(rest) };
      case 'HEALTHCHECK':
        return { ...image, health: JSON.parse(rest.slice(rest.indexOf('CMD ') + 4)) };
      case 'EXPOSE':
        return image;
      default:
        throw new Error(`the test does not know the step ${word}`);
    }
  }

  return { build };
}

async function copyInto(source: string, target: string, linked = true): Promise<void> {
  await mkdir(target, { recursive: true });
  await execute('cp', [linked ? '-al' : '-a', '--remove-destination', `${source}/.`, target]);
}

// Of the tests and of the npm that runs them; what says how this machine reaches the registry stays.
const ofTests =
  /^(NODE_ENV|NODE_OPTIONS|NODE_COMPILE_CACHE|INIT_CWD|VITEST.*|npm_(?!config_).*|npm_config_local_prefix)$/;

/** Runs a step as a shell does, with the tests' Node in place of the base image's. */
async function runStep(command: string, cwd: string): Promise<void> {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofTests.test(name)));
  const env = { ...own, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, npm_config_prefer_offline: 'true' };
  await execute('/bin/sh', ['-c', command], { cwd, env, maxBuffer: 64 * 1024 * 1024 });
}

/** Returns whether a path is sent to the engine. Of the patterns only `*` and `!NAME` are known. */
function readIgnore(text: string): (path: string) => boolean {
  const [first, ...others] = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  if (first !== '*' || others.some((line) => !/^![\w.-]+$/.test(line)))
    throw new Error('.dockerignore has a pattern that the test does not know');
  const sent = new Set(others.map((line) => line.slice(1)));
  return (path) => sent.has(path.split('/')[0] ?? '');
}

export type Entry = { path: string; bytes: number; uid: number; mode: number; changed: number };

/** Lists a tree: each file and folder, links not followed. */
export async function listTree(root: string): Promise<Entry[]> {
  const names = await readdir(root, { recursive: true });
  return Promise.all(
    names.map(async (path) => {
      const found = await lstat(join(root, path));
      const bytes = found.isDirectory() ? 0 : found.size;
      return { path, bytes, uid: found.uid, mode: found.mode, changed: found.mtimeMs };
    }),
  );
}
