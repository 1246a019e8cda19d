// A process that takes a tenant's lease as a cycle would: `node lease-user.ts URL TENANT`. It says so in one line, keeps
// the lease alive, and ends when its stdin ends, without letting go.
import { acquireLease } from '../../src/store/cycle/lease.ts';
import { openDatabase } from '../../src/store/database/pool.ts';

const [url, tenantId] = process.argv.slice(2);
if (url === undefined || tenantId === undefined) throw new Error('usage: lease-user.ts URL TENANT');

const { fence } = await acquireLease(openDatabase(url), tenantId);
process.stdout.write(`${fence}\n`);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
