// Graph's endpoints: checks the bearer token and its roles, then routes the request.
import { type Answer, denied, graphError, methodNotAllowed, unauthenticated } from '../answers.ts';
import type { AccessToken } from '../entra/authority-state.ts';
import type { StreamName } from '../tenant/properties.ts';
import type { Truth } from '../tenant/truth.ts';
import { answerBatch } from './batch.ts';
import { answerDelta } from './delta.ts';
import {
  answerCount,
  answerDeleted,
  answerList,
  answerManager,
  answerMembers,
  answerObject,
  answerOrganization,
  answerReports,
} from './directory.ts';
import type { GraphContext, GraphRequest } from './graph-request.ts';
import { answerPhoto } from './photos.ts';
import { readQuery } from './query.ts';
import { isStuckPlace, refuseStuckObject } from './stuck.ts';

const readers: Readonly<Record<StreamName, RegExp>> = {
  users: /^(User\.Read(\.All|Write\.All|Basic\.All)|Directory\.Read(Write)?\.All)$/,
  groups: /^(GroupMember\.Read(Write)?\.All|Group\.Read(Write)?\.All|Directory\.Read(Write)?\.All)$/,
};

export function mayRead(roles: readonly string[], stream: StreamName): boolean {
  return roles.some((role) => readers[stream].test(role));
}

/** Returns the token of a request, or Graph's 401. */
export function authorize(context: GraphContext, request: GraphRequest): AccessToken | Answer {
  const header = request.headers.authorization;
  const bearer = typeof header === 'string' ? /^bearer\s+(\S+)$/i.exec(header)?.[1] : undefined;
  if (bearer === undefined) return unauthenticated('Access token is empty.');
  const token = context.issued.get(bearer);
  if (token === undefined) return unauthenticated('Access token validation failure. Invalid audience.');
  if (token.expiresAtMs <= Date.now()) return unauthenticated('Lifetime validation failed, the token is expired.');
  return token;
}

const headerOf = (request: GraphRequest, name: string) => {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : (value ?? '');
};

function segmentsOf(url: string): string[] | undefined {
  const [path = ''] = url.split('?', 1);
  try {
    // users('key') means users/key, for keys that are invalid in a path.
    return path
      .split('/')
      .slice(1)
      .flatMap((segment) => /^(users|groups)\('(.+)'\)$/.exec(segment)?.slice(1) ?? segment)
      .map((segment) => decodeURIComponent(segment).replaceAll("''", "'"));
  } catch {
    return undefined;
  }
}

export async function answerGraph(context: GraphContext, request: GraphRequest): Promise<Answer> {
  const token = authorize(context, request);
  if ('status' in token) return token;
  const truth = context.truths.get(token.tenantId);
  const segments = segmentsOf(request.url);
  if (truth === undefined || segments === undefined) return graphError(400, 'BadRequest', 'The request is malformed.');
  const [version, resource = '', ...rest] = segments;
  if (version !== 'v1.0') return graphError(400, 'BadRequest', `Invalid version: ${version}`);
  if (resource === '$batch') {
    return request.method === 'POST' && !request.isInner ? answerBatch(context, request) : methodNotAllowed();
  }
  if (request.method !== 'GET') return methodNotAllowed();
  if (resource === 'organization') {
    return token.roles.length > 0 ? answerOrganization(context.origin, truth, rest[0]) : denied();
  }
  if (resource === 'directory' && rest[0] === 'deletedItems' && rest.length === 2) {
    return answerDeletedItems(context, request, truth, token.roles, rest[1] ?? '');
  }
  if (resource !== 'users' && resource !== 'groups') {
    return graphError(400, 'BadRequest', `Resource not found for the segment '${resource}'.`);
  }
  // A permission of its own reads photos, and nothing else of users.
  if (resource === 'users' && rest[1] === 'photos') {
    return answerPhoto(truth, token.roles, context.options.photoFaults, rest);
  }
  if (!mayRead(token.roles, resource)) return denied();
  return answerStream(context, request, truth, token.roles, resource, rest);
}

function answerDeletedItems(
  context: GraphContext,
  request: GraphRequest,
  truth: Truth,
  roles: readonly string[],
  type: string,
): Answer {
  const stream = { 'microsoft.graph.user': 'users', 'microsoft.graph.group': 'groups' }[type] as StreamName | undefined;
  if (stream === undefined) return graphError(400, 'BadRequest', `Resource not found for the segment '${type}'.`);
  // Deleted groups are not basic properties: a role for memberships is not enough (directory-deleteditems-list).
  if (
    !mayRead(
      roles.filter((role) => !role.startsWith('GroupMember.')),
      stream,
    )
  ) {
    return denied();
  }
  const eventual = headerOf(request, 'consistencylevel').toLowerCase() === 'eventual';
  const { origin, options } = context;
  const { listPageSize } = options;
  return answerDeleted({ origin, truth, stream, query: readQuery(request.url), eventual, listPageSize });
}

function answerStream(
  context: GraphContext,
  request: GraphRequest,
  truth: Truth,
  roles: readonly string[],
  stream: StreamName,
  rest: readonly string[],
): Answer {
  const { origin, options } = context;
  const query = readQuery(request.url);
  const eventual = headerOf(request, 'consistencylevel').toLowerCase() === 'eventual';
  const asked = { origin, truth, stream, query, eventual, listPageSize: options.listPageSize };
  const [first, second, third] = rest;
  if (first === undefined || first === '') return answerList(asked);
  if (first === 'delta' || /^(microsoft\.graph\.)?delta(\(\))?$/.test(first)) {
    const minimal = /return=minimal/i.test(headerOf(request, 'prefer'));
    return answerDelta({ truth, options, origin, stream, query, minimal });
  }
  if (first === '$count') return answerCount(asked);
  const at = second ?? 'object';
  const failing = isStuckPlace(at) ? refuseStuckObject(options.stuck, first, at) : undefined;
  if (failing) return failing;
  if (second === undefined) return answerObject(asked, first);
  if (stream === 'users' && third === undefined && second === 'manager') return answerManager(asked, first);
  if (stream === 'users' && third === undefined && second === 'directReports') return answerReports(asked, first);
  const isMembers = stream === 'groups' && second === 'members';
  if (isMembers || second === 'memberOf') {
    const readable = { user: mayRead(roles, 'users'), group: mayRead(roles, 'groups') };
    if (!isMembers && !readable.group) return denied();
    return answerMembers(asked, first, isMembers ? 'members' : 'memberOf', third, readable);
  }
  return graphError(400, 'BadRequest', `Resource not found for the segment '${second}'.`);
}
