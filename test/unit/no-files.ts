// Paths that are no plain files: files that expose the process, devices without an end, a pipe that is never written to.
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Returns such paths with their titles, some of them made in `folder`. A secret is read from none. */
export function noFiles(folder: string): [title: string, path: string][] {
  const [pipe, link] = [join(folder, 'pipe'), join(folder, 'link')];
  execFileSync('mkfifo', [pipe]);
  symlinkSync('/proc/self/environ', link);
  const paths = ['/proc/self/environ', '/proc/self/fd/0', '/proc/version', '/dev/null', '/dev/zero', '/dev/stdin'];
  return [
    ...paths.map((path): [string, string] => [path, path]),
    ['a folder', folder],
    ['a pipe', pipe],
    ['a link to /proc/self/environ', link],
  ];
}
