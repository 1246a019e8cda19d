// Runs a built image as an engine does: in its own root folder, as its user, with its variables alone.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Image } from './dockerfile.ts';

export type Container = {
  readonly child: ChildProcess;
  /** Stdout and stderr so far. */
  text(): string;
  readonly ended: Promise<number | null>;
  /** Runs the command of HEALTHCHECK beside it. */
  isHealthy(): Promise<boolean>;
};

/** Whether this process may change root and user, as engines do. */
export const mayRunImages = process.getuid?.() === 0;

/** Puts into an image what an engine mounts: names with their addresses, and the files of `secrets`. */
export async function mount(image: Image, secrets: Record<string, string> = {}, hosts = ''): Promise<void> {
  await mkdir(join(image.root, 'run', 'secrets'), { recursive: true });
  await mkdir(join(image.root, 'proc', '1'), { recursive: true });
  for (const [name, text] of Object.entries(secrets)) await writeFile(join(image.root, 'run', 'secrets', name), text);
  await writeFile(join(image.root, 'etc', 'hosts'), `127.0.0.1 localhost\n::1 localhost\n${hosts}\n`);
}

// By Perl, which every Debian has: chroot(8) knows no folder to start in, and unshare(1) is refused in most containers.
const enter = `use POSIX; my ($root, $folder, $uid, $gid) = splice @ARGV, 0, 4;
  chroot $root or die "chroot: $!"; chdir $folder or die "chdir: $!"; $( = $gid; $) = "$gid $gid";
  POSIX::setuid($uid) or die "setuid: $!"; exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!";`;

function start(image: Image, command: readonly string[], environment: Record<string, string>): ChildProcess {
  return spawn('perl', ['-e', enter, image.root, image.directory, ...image.user.split(':'), ...command], {
    env: { ...image.environment, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Starts the image with a command, by default its own. */
export function runImage(
  image: Image,
  environment: Record<string, string>,
  command: readonly string[] = image.command,
): Container {
  const whole = [...image.entrypoint, ...command];
  const child = start(image, whole, environment);
  let shown = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      shown += chunk;
    });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    ended,
    text: () => shown,
    isHealthy: async () => {
      // The first process of the container, which this one is not.
      await writeFile(join(image.root, 'proc', '1', 'cmdline'), whole.join('\0'));
      const [code] = await once(start(image, image.health, environment), 'close');
      return code === 0;
    },
  };
}

/** Returns all that the user of the image may write, as find sees it. */
export async function writableBy(image: Image): Promise<string[]> {
  const [uid = ''] = image.user.split(':');
  const { stdout } = await promisify(execFile)('find', [
    image.root,
    ...['(', '-uid', uid, '-o', '-perm', '/022', ')', '!', '-type', 'l', '-print'],
  ]);
  return stdout.split('\n').filter((line) => line !== '');
}
