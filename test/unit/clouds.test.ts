// Each cloud's hosts: a token is requested at the cloud's sign-in host, and sent only to the cloud's Graph.
import nock from 'nock';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { openGraphAccess } from '../../src/app.ts';
import { readEnvironment } from '../../src/environment.ts';
import { loadDefaults, resolveSettings } from '../../src/settings/settings.ts';
import { closeGraph } from './nock-graph.ts';

afterEach(closeGraph);

const tenantId = '605d1257-ffff-40b6-8e6f-528a53f5dc55';

test.each([
  ['global', 'login.microsoftonline.com', 'graph.microsoft.com'],
  ['usgov', 'login.microsoftonline.us', 'graph.microsoft.us'],
  ['usgov-dod', 'login.microsoftonline.us', 'dod-graph.microsoft.us'],
  // MSAL's table of authorities has login.chinacloudapi.cn as an alias of this host, and asks this host.
  ['china', 'login.partner.microsoftonline.cn', 'microsoftgraph.chinacloudapi.cn'],
])('%s: signs in at %s, reads from %s', async (cloud, login, graph) => {
  nock.disableNetConnect();
  const asked: string[] = [];
  nock.emitter.on('no match', (request: { options?: { host?: string } }) =>
    asked.push(`nobody: ${request?.options?.host}`),
  );
  const base = `https://${login}/${tenantId}`;
  nock(`https://${login}`)
    .get(`/${tenantId}/v2.0/.well-known/openid-configuration`)
    .query(true)
    .reply(200, {
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
    });
  const claims = Buffer.from(JSON.stringify({ roles: ['User.Read.All'] })).toString('base64url');
  nock(`https://${login}`)
    .post(`/${tenantId}/oauth2/v2.0/token`)
    .query(true)
    .reply(200, (_, sent) => {
      asked.push(`${login}: ${new URLSearchParams(String(sent)).get('scope')}`);
      return { token_type: 'Bearer', expires_in: 3599, access_token: `e30.${claims}.signature` };
    });
  nock(`https://${graph}`)
    .get('/v1.0/users')
    .reply(200, function answer() {
      asked.push(`${graph}: ${String(this.req.headers.authorization).slice(0, 6)}`);
      return { value: [] };
    });
  const environment = readEnvironment({ ENTRA_SYNC_CLOUD: cloud, AZURE_CLIENT_ID: 'app', AZURE_CLIENT_SECRET: 's' });
  const settings = resolveSettings([loadDefaults()], 1);
  const signal = new AbortController().signal;
  const reader = openGraphAccess(environment).openReader({
    tenantId,
    settings,
    signal,
    log: pino({ level: 'silent' }),
  });
  await reader.getJson(`${reader.origin}/v1.0/users`, { carriedToken: false, parse: () => true });
  expect(asked).toEqual([`${login}: https://${graph}/.default`, `${graph}: Bearer`]);
});
