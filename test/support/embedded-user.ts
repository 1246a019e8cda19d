// A program that uses an embedded server as a command would: `node embedded-user.ts HOME`. It prints one JSON line when it
// has opened it, one when Ctrl-C (SIGINT) reached it, and closes and ends when its stdin ends.
import { openEmbedded } from '../../src/store/embedded/embedded.ts';

const home = process.argv[2];
if (home === undefined) throw new Error('usage: embedded-user.ts HOME');

process.on('SIGINT', () => say({ interrupted: true }));
const { url, started, created, close } = await openEmbedded({ home });
say({ url, started, created });
process.stdin.resume();
process.stdin.on('end', async () => {
  await close();
  say({ closed: true });
});

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
