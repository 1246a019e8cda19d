// A process that migrates: `node migrating-process.ts URL`. It waits for its stdin to end, so that several can begin at
// once, and prints the names of the migrations it applied, or the code of what stopped it.
import { ExpectedError } from '../../src/errors.ts';
import { migrate } from '../../src/store/schema/migrate.ts';

const url = process.argv[2];
if (url === undefined) throw new Error('usage: migrating-process.ts URL');

process.stdout.write('ready\n');
process.stdin.resume();
process.stdin.on('end', async () => {
  const answer = await migrate(url).catch((error: unknown) => {
    if (error instanceof ExpectedError) return error.code;
    throw error;
  });
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
