// A process that migrates: `node migrating-process.ts URL`. It waits for the end of its stdin, so that several can start at
// the same time, and prints the names of the migrations that it applied, or the error code.
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
