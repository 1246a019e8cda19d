// The peer from npm, Backstage's reader of Microsoft Graph with its defaults. It only reads and writes nothing. It has a
// package of its own (bench/peer), since it brings 200 packages.
import { createRequire } from 'node:module';
import { packageFile } from '../../src/package-files.ts';
import { begin, finish, order, origin, readJob, signIn, since } from './common.ts';

const { tenantIds, wishes } = readJob();
const [tenant = ''] = tenantIds;
const require = createRequire(packageFile('bench', 'peer', 'package.json'));
const { MicrosoftGraphClient, readMicrosoftGraphOrg } = require('@backstage/plugin-catalog-backend-module-msgraph');
const silent: Record<string, unknown> = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
if (typeof wishes.latencyMs === 'number') await order({ listings: true, latencyMs: wishes.latencyMs });
const started = begin();
const token = await signIn(tenant);
const client = new MicrosoftGraphClient(`${origin()}/v1.0`, {
  getToken: async () => ({ token, expiresOnTimestamp: 0 }),
});
const { users, groups } = await readMicrosoftGraphOrg(client, tenant, { logger: silent, loadUserPhotos: false });
const members = (users as { spec: { memberOf?: unknown[] } }[]).reduce(
  (sum, { spec }) => sum + (spec.memberOf?.length ?? 0),
  0,
);
await finish({ seconds: since(started), users: users.length, groups: groups.length, members });
