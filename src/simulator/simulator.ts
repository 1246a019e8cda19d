// Starts the simulated Microsoft cloud: one TLS server with Entra's token endpoint and Graph, for one or more tenants.
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Answer, graphError, isGraphError } from './answers.ts';
import { type Account, accountsOf, plainAccount } from './entra/accounts.ts';
import { answerAdminConsent } from './entra/admin-consent.ts';
import { answerDiscovery, answerKeys, answerToken } from './entra/authority.ts';
import type { AccessToken, Authority } from './entra/authority-state.ts';
import { certificatesFor, writeFiles } from './entra/certificates.ts';
import { type Consents, createConsents } from './entra/consents.ts';
import { defaultFederation, type FederatedToken, issueFederated } from './entra/federation.ts';
import { answerAuthorize } from './entra/sign-in.ts';
import { answerGraph, authorize } from './graph/graph.ts';
import type { GraphContext, GraphRequest } from './graph/graph-request.ts';
import { createStage, type Intercept, type Transform } from './intercept.ts';
import { defaultOptions, type SimulatorOptions, type SimulatorSettings } from './options.ts';
import { type Exchange, listen } from './server.ts';
import { type Tenant, truthOf } from './tenant/tenant.ts';

/** One request: its path with query and tokens, its headers, and the status of the answer. */
export type RecordedRequest = {
  method: string;
  path: string;
  /** 0 until it is answered; stays 0 if the connection was cut without an answer. */
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The client's port of the connection; absent in a `$batch`. */
  remotePort?: number;
};

export type Simulator = {
  /** `https://localhost:PORT`: both the authority host and Graph's base address. */
  readonly origin: string;
  /** The certificate to trust, as PEM (for clients that do not read NODE_EXTRA_CA_CERTS). */
  readonly certificate: string;
  /** May change at run time. */
  readonly options: SimulatorOptions;
  /** Every request since the start or `clearRequests`, parts of each `$batch` included. */
  readonly requests: RecordedRequest[];
  clearRequests(): void;
  readonly consents: Consents;
  readonly accounts: readonly Account[];
  /** Returns entra-sync's environment for this simulator, with the secret; default: the first tenant. */
  environment(tenantId?: string): Record<string, string>;
  /** The same with a certificate in place of the secret. */
  certificateEnvironment(tenantId?: string): Record<string, string>;
  /**
   * The same with a federated token in a file (mode 0600), as a Kubernetes cluster gives it to a pod. The tenant is the
   * application's home tenant, which is not one of the simulated ones.
   */
  federatedEnvironment(token?: FederatedToken): Promise<Record<string, string>>;
  federatedToken(token?: FederatedToken): Promise<string>;
  /** Runs before the answer is made; the first intervention wins. Returns the function that ends it. */
  intercept(handler: Intercept): () => void;
  /** Alters correct JSON answers (status 200). Returns the function that ends it. */
  transform(handler: Transform): () => void;
  /** Ends every connection at once; new ones are accepted. */
  cutConnections(): void;
  /** Stops listening: connections are refused. Returns the function that listens again on the same port. */
  goDown(): Promise<() => Promise<void>>;
  /** Shows another certificate to new connections; without an argument its own again. */
  presentCertificate(other?: { key: string; cert: string }): void;
  /** Revokes every issued access token: requests with one get a 401. */
  revokeTokens(): void;
  /** Stops at once, ends hanging connections and removes temporary files. */
  close(): Promise<void>;
};

const jsonType = 'application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8';

function finish(answer: Answer, headers: GraphRequest['headers']): Answer {
  const requestId = randomUUID();
  const asked = headers['client-request-id'];
  const clientRequestId = typeof asked === 'string' && asked !== '' ? asked : requestId;
  const { body } = answer;
  if (isGraphError(body)) {
    const date = new Date().toISOString().slice(0, 19);
    Object.assign(body.error.innerError ?? {}, { date, 'request-id': requestId, 'client-request-id': clientRequestId });
  }
  return {
    ...answer,
    headers: {
      'Cache-Control': 'no-cache',
      'Content-Type': jsonType,
      'OData-Version': '4.0',
      'request-id': requestId,
      'client-request-id': clientRequestId,
      'x-ms-ags-diagnostic': '{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"0","ScaleUnit":"000"}}',
      ...answer.headers,
    },
  };
}

async function answerAuthority(authority: Authority, request: GraphRequest): Promise<Answer | undefined> {
  const [path = ''] = request.url.split('?', 1);
  const [, tenant = '', rest = ''] = /^\/([^/]+)\/(.*)$/.exec(path) ?? [];
  const { cookie } = request.headers;
  const cookies = typeof cookie === 'string' ? cookie : undefined;
  if (rest === 'oauth2/v2.0/authorize' && request.method === 'GET')
    return answerAuthorize(authority, request.url, cookies);
  if (rest === 'v2.0/adminconsent' && request.method === 'GET') {
    return answerAdminConsent(authority, tenant.toLowerCase(), request.url, cookies);
  }
  const plain = { 'Content-Type': 'application/json; charset=utf-8' };
  if (rest === 'v2.0/.well-known/openid-configuration' && request.method === 'GET') {
    return { headers: plain, ...answerDiscovery(authority, tenant) };
  }
  if (rest === 'discovery/v2.0/keys' && request.method === 'GET') {
    return { headers: plain, ...(await answerKeys(authority, tenant)) };
  }
  if (rest === 'oauth2/v2.0/token' && request.method === 'POST') {
    const { authorization } = request.headers;
    const basic = typeof authorization === 'string' ? authorization : undefined;
    return { headers: plain, ...(await answerToken(authority, tenant, request.body, basic)) };
  }
  return undefined;
}

/**
 * Starts a simulator. It listens on TLS with a certificate of its own and prints nothing. Rejects if the port is taken or
 * two tenants share an id.
 */
export async function startSimulator(settings: SimulatorSettings): Promise<Simulator> {
  const { tenants, host = 'localhost', port = 0, directory, consented = true, ...given } = settings;
  const truths = new Map(tenants.map((tenant) => [tenant.tenantId, truthOf(tenant)]));
  if (truths.size !== tenants.length) throw new Error('Two of the tenants have the same tenantId.');
  const credentials = { clientId: randomUUID(), clientSecret: `sim~${randomBytes(24).toString('base64url')}` };
  const options: SimulatorOptions = { ...defaultOptions(credentials), ...definedOf(given) };
  const certificates = await certificatesFor(host);
  const requests: RecordedRequest[] = [];
  const issued = new Map<string, AccessToken>();
  const stage = createStage();

  const server = await listen({
    host,
    port,
    tls: { key: certificates.tls.key, cert: certificates.tls.certificate },
    latencyMs: () => options.latencyMs,
    answer,
  });
  const { origin } = server;
  const files = await writeFiles(certificates, directory).catch(async (cause) => {
    await server.close();
    throw cause;
  });
  const consents = createConsents(options, consented);
  const domains = new Map([...truths].map(([id, truth]) => [id, truth.domain]));
  const codes = new Map();
  const authority: Authority = {
    origin,
    options,
    certificates,
    issued,
    tenants: namesOf(tenants),
    domains,
    userOf: (principal) => findUser(tenants, principal),
    consents,
    codes,
    allowed: new Set(),
  };
  const graph: GraphContext = { origin, options, issued, truths, answerInner };

  function record(request: GraphRequest): RecordedRequest {
    const { method, url: path, headers, remotePort } = request;
    const recorded = { method, path, status: 0, headers, ...(remotePort !== undefined && { remotePort }) };
    requests.push(recorded);
    return recorded;
  }

  function tenantOf(request: GraphRequest): string | undefined {
    const token = authorize(graph, request);
    const [, first = ''] = request.url.split('/', 2);
    return 'tenantId' in token ? token.tenantId : truths.has(first.toLowerCase()) ? first.toLowerCase() : undefined;
  }

  async function correct(request: GraphRequest): Promise<Answer> {
    try {
      const answered = (await answerAuthority(authority, request)) ?? (await answerGraph(graph, request));
      return finish(answered, request.headers);
    } catch (cause) {
      const message = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      return finish(graphError(500, 'generalException', `Defect in the simulator: ${message}`), request.headers);
    }
  }

  async function answer(request: GraphRequest): Promise<Exchange> {
    const recorded = record(request);
    const tenantId = tenantOf(request);
    const exchange = await stage.play(tenantId === undefined ? request : { ...request, tenantId }, () =>
      correct(request),
    );
    recorded.status = exchange.kind === 'answer' ? exchange.answer.status : 0;
    return exchange;
  }

  async function answerInner(request: GraphRequest): Promise<Answer> {
    const exchange = await answer(request);
    return exchange.kind === 'answer' ? exchange.answer : { status: 504 };
  }

  function environment(tenantId = tenants[0]?.tenantId): Record<string, string> {
    const id = tenantId ?? '';
    if (!truths.has(id.toLowerCase())) throw new Error(`No simulated tenant '${id}'.`);
    return {
      AZURE_TENANT_ID: id,
      AZURE_CLIENT_ID: options.clientId,
      AZURE_AUTHORITY_HOST: origin,
      GRAPH_BASE_URL: origin,
      NODE_EXTRA_CA_CERTS: files.authority,
    };
  }

  const trusted = () => options.federated[0] ?? defaultFederation;

  async function federatedEnvironment(token?: FederatedToken): Promise<Record<string, string>> {
    const file = join(files.folder, 'federated-token');
    await writeFile(file, `${await issueFederated(trusted(), token)}\n`, { mode: 0o600 });
    return { ...environment(), AZURE_TENANT_ID: homeTenantId, AZURE_FEDERATED_TOKEN_FILE: file };
  }

  return {
    origin,
    certificate: certificates.tls.certificate,
    options,
    requests,
    consents,
    accounts: accountsOf(domains),
    clearRequests: () => {
      requests.length = 0;
    },
    environment: (tenantId) => ({ ...environment(tenantId), AZURE_CLIENT_SECRET: options.clientSecret }),
    certificateEnvironment: (tenantId) => ({ ...environment(tenantId), AZURE_CLIENT_CERTIFICATE_PATH: files.client }),
    federatedEnvironment,
    federatedToken: (token) => issueFederated(trusted(), token),
    intercept: stage.intercept,
    transform: stage.transform,
    cutConnections: server.cutConnections,
    goDown: server.goDown,
    presentCertificate: (other) =>
      server.present(other ?? { key: certificates.tls.key, cert: certificates.tls.certificate }),
    revokeTokens: () => issued.clear(),
    async close() {
      await server.close();
      await files.remove();
    },
  };
}

const homeTenantId = randomUUID();

// By the tenant as it is now: a user who was deleted there signs in no more.
function findUser(tenants: readonly Tenant[], principal: string): Account | undefined {
  for (const { tenantId, users } of tenants.map((one) => ({ tenantId: one.tenantId, users: one.users() }))) {
    const user = users.find((one) => one.properties.userPrincipalName === principal);
    if (user) return plainAccount({ principal, tenantId, objectId: user.id });
  }
  return undefined;
}

const namesOf = (tenants: readonly Tenant[]) => new Map(tenants.map((tenant) => [tenant.tenantId, tenant.name]));

// An option given as undefined keeps its default.
function definedOf(given: Partial<SimulatorOptions>): Partial<SimulatorOptions> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
