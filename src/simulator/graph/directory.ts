// Plain reads: listings, single objects, members, counts and the organization. They show the current truth.
import { type Answer, badRequest, denied, graphError, notFound, unsupportedQuery } from '../answers.ts';
import { isAgent } from '../tenant/kinds.ts';
import { managerOf, reportsOf } from '../tenant/managers.ts';
import { type StreamName, schemas } from '../tenant/properties.ts';
import { type Entity, liveOf, type Truth } from '../tenant/truth.ts';
import { compileFilter } from './filter.ts';
import { type Query, refuseSelect, selectOf } from './query.ts';
import { agentType } from './render.ts';
import { readToken, type Token, writeToken } from './tokens.ts';

export type DirectoryRequest = {
  truth: Truth;
  origin: string;
  stream: StreamName;
  query: Query;
  /** At most so many objects on a page. */
  listPageSize: number;
  /** Whether the request has `ConsistencyLevel: eventual`. */
  eventual: boolean;
};

/** Returns an object as plain reads show it: every selected property, null without a value. */
function show(entity: Entity, stream: StreamName, select: readonly string[] | undefined): Record<string, unknown> {
  const { standard, links, collections } = schemas[stream];
  const body: Record<string, unknown> = { ...(isAgent(entity) && { '@odata.type': agentType }), id: entity.id };
  for (const name of select ?? standard) {
    if (!links.has(name)) {
      body[name] = entity.properties[name] ?? (collections.has(name) ? [] : null);
    }
  }
  return body;
}

function contextOf(request: DirectoryRequest, resource: string, select: readonly string[] | undefined): string {
  return `${request.origin}/v1.0/$metadata#${resource}${select ? `(${['id', ...select].join(',')})` : ''}`;
}

/** The size of a page: `$top` from 1 to 999, by default 100; undefined if invalid. */
function topOf(query: Query): number | undefined {
  const text = query.options.get('$top');
  const top = text === undefined ? 100 : Number(text);
  return Number.isInteger(top) && top >= 1 && top <= 999 ? top : undefined;
}

type Paged<T> = { items: T[]; next: string | undefined };

/** Cuts a page from a list. Its skip token works for this path and query only. */
function page<T>(
  request: DirectoryRequest,
  path: string,
  list: readonly T[],
  indexOf: (item: T) => number,
): Paged<T> | Answer {
  const { query, truth } = request;
  const top = topOf(query);
  if (top === undefined) {
    return unsupportedQuery(
      `Invalid page size specified: '${query.options.get('$top')}'. Must be between 1 and 999 inclusive.`,
    );
  }
  const own = query.raw
    .split('&')
    .filter((part) => !/^(\$|%24)skiptoken=/i.test(part))
    .join('&');
  let after = -1;
  if (query.skipToken !== undefined) {
    const token = readToken(truth, query.skipToken);
    if (token?.kind !== 'list' || token.path !== path || token.query !== own) {
      return unsupportedQuery('Specified page token value has expired or is invalid.');
    }
    after = token.after;
  }
  const rest = list.filter((item) => indexOf(item) > after);
  const most = Math.min(top, request.listPageSize);
  const items = rest.slice(0, most);
  const last = items.at(-1);
  if (last === undefined || rest.length <= most) return { items, next: undefined };
  const token: Token = { kind: 'list', epoch: 0, path, query: own, after: indexOf(last) };
  const skip = `$skiptoken=${writeToken(truth, token)}`;
  return { items, next: `${request.origin}/v1.0/${path}?${own ? `${own}&` : ''}${skip}` };
}

function refuseOptions(request: DirectoryRequest, known: readonly string[]): Answer | undefined {
  const unknown = [...request.query.options.keys()].find((name) => name.startsWith('$') && !known.includes(name));
  return unknown
    ? unsupportedQuery(`The query option '${unknown}' is not supported by the simulated tenant.`)
    : undefined;
}

/** Answers `/users` and `/groups`: live objects in order of creation. */
export function answerList(request: DirectoryRequest): Answer {
  const { truth, stream, query, eventual } = request;
  const select = selectOf(query);
  const refused =
    (select && refuseSelect(stream, select, false)) ?? refuseOptions(request, ['$select', '$top', '$filter', '$count']);
  if (refused) return refused;
  const filter = compileFilter(stream, query.options.get('$filter'));
  if (typeof filter === 'string') return badRequest(filter);
  const list = liveOf(truth[stream]).filter(filter);
  const cut = page(request, stream, list, (entity) => entity.index);
  if ('status' in cut) return cut;
  const body: Record<string, unknown> = { '@odata.context': contextOf(request, stream, select) };
  if (query.options.get('$count') === 'true' && eventual && query.skipToken === undefined) {
    body['@odata.count'] = list.length;
  }
  if (cut.next !== undefined) {
    body['@odata.nextLink'] = cut.next;
  }
  return { status: 200, body: { ...body, value: cut.items.map((entity) => show(entity, stream, select)) } };
}

/** Answers `/directory/deletedItems/microsoft.graph.user` and `.group`. */
export function answerDeleted(request: DirectoryRequest): Answer {
  const { truth, stream, query } = request;
  const select = selectOf(query);
  const refused = (select && refuseSelect(stream, select, false)) ?? refuseOptions(request, ['$select', '$top']);
  if (refused) return refused;
  const list = truth[stream].order.filter((entity) => entity.state === 'soft');
  const path = `directory/deletedItems/${stream === 'users' ? 'microsoft.graph.user' : 'microsoft.graph.group'}`;
  const cut = page(request, path, list, (entity) => entity.index);
  if ('status' in cut) return cut;
  const body: Record<string, unknown> = { '@odata.context': contextOf(request, 'directoryObjects', select) };
  if (cut.next !== undefined) {
    body['@odata.nextLink'] = cut.next;
  }
  return { status: 200, body: { ...body, value: cut.items.map((entity) => show(entity, stream, select)) } };
}

/** Answers `/users/$count` and `/groups/$count`: a plain number, and only with `ConsistencyLevel: eventual`. */
export function answerCount(request: DirectoryRequest): Answer {
  const { truth, stream, query, eventual } = request;
  if (!eventual) return badRequest('$count is not currently supported.');
  const filter = compileFilter(stream, query.options.get('$filter'));
  if (typeof filter === 'string') return badRequest(filter);
  const count = liveOf(truth[stream]).filter(filter).length;
  return { status: 200, headers: { 'Content-Type': 'text/plain' }, body: String(count) };
}

/** Returns a live object by id, or a live user by user principal name. */
function findLive(request: DirectoryRequest, key: string): Entity | undefined {
  const { truth, stream } = request;
  const wanted = key.toLowerCase();
  const id = stream === 'users' ? (truth.principals.get(wanted) ?? wanted) : wanted;
  const entity = truth[stream].records.get(id);
  return entity?.state === 'live' ? entity : undefined;
}

/** Answers `/users/{id or user principal name}` and `/groups/{id}`. */
export function answerObject(request: DirectoryRequest, key: string): Answer {
  const { stream, query } = request;
  const select = selectOf(query);
  const refused = (select && refuseSelect(stream, select, false)) ?? refuseOptions(request, ['$select']);
  if (refused) return refused;
  const entity = findLive(request, key);
  if (entity === undefined) return notFound(key);
  const context = { '@odata.context': `${contextOf(request, stream, select)}/$entity` };
  return { status: 200, body: { ...context, ...show(entity, stream, select) } };
}

type Member = { index: number; id: string; type: string; entity: Entity | undefined };

function membersOf(truth: Truth, group: Entity): Member[] {
  const entries = [...group.links].map(([id, link], index) => ({ id, link, index }));
  return entries
    .filter(({ link }) => link.present)
    .map(({ id, link, index }) => {
      return { index, id, type: link.type, entity: truth.users.records.get(id) ?? truth.groups.records.get(id) };
    })
    .filter(({ entity }) => entity === undefined || entity.state === 'live');
}

function groupsOf(truth: Truth, member: Entity): Member[] {
  return [...(truth.memberOf.get(member.id) ?? [])].flatMap((id) => {
    const entity = truth.groups.records.get(id);
    return entity?.state === 'live' ? [{ index: entity.index, id, type: '#microsoft.graph.group', entity }] : [];
  });
}

/** A member whose type the token may not read has only its type and id (Graph: "Limited information"). */
function showMember(
  member: Member,
  select: readonly string[] | undefined,
  readable: { user: boolean; group: boolean },
) {
  const head = { '@odata.type': member.type, id: member.id };
  const isUser = member.type === '#microsoft.graph.user' || member.type === agentType;
  if (member.entity === undefined || !(isUser ? readable.user : readable.group)) return { ...head, displayName: null };
  const stream = isUser ? 'users' : 'groups';
  return {
    ...head,
    ...show(
      member.entity,
      stream,
      select?.filter((name) => schemas[stream].known.has(name)),
    ),
  };
}

/**
 * Answers `/groups/{id}/members`, `/users/{id}/memberOf` and `/groups/{id}/memberOf`: direct and live objects only.
 * `cast` is an OData type at the end of the path, such as `microsoft.graph.group`.
 */
export function answerMembers(
  request: DirectoryRequest,
  key: string,
  relation: 'members' | 'memberOf',
  cast: string | undefined,
  readable: { user: boolean; group: boolean },
): Answer {
  const { truth, stream, query } = request;
  const entity = findLive(request, key);
  const refused = refuseOptions(request, ['$select', '$top', '$count']);
  if (entity === undefined || refused) return refused ?? notFound(key);
  if (cast !== undefined && !/^microsoft\.graph\.\w+$/.test(cast)) {
    return graphError(400, 'BadRequest', `Resource not found for the segment '${cast}'.`);
  }
  if (stream === 'users' && !readable.group) return denied();
  const all = relation === 'members' ? membersOf(truth, entity) : groupsOf(truth, entity);
  const members = cast === undefined ? all : all.filter((member) => member.type === `#${cast}`);
  const path = `${stream}/${key}/${relation}${cast ? `/${cast}` : ''}`;
  const ordered = [...members].sort((left, right) => left.index - right.index);
  const cut = page(request, path, ordered, (member) => member.index);
  if ('status' in cut) return cut;
  const select = selectOf(query);
  const body: Record<string, unknown> = { '@odata.context': contextOf(request, 'directoryObjects', select) };
  if (cut.next !== undefined) {
    body['@odata.nextLink'] = cut.next;
  }
  return { status: 200, body: { ...body, value: cut.items.map((member) => showMember(member, select, readable)) } };
}

/** Answers `/users/{id}/manager`: a live manager, else 404 (graph/api/user-list-manager). */
export function answerManager(request: DirectoryRequest, key: string): Answer {
  const { truth, query } = request;
  const select = selectOf(query);
  const refused = (select && refuseSelect('users', select, false)) ?? refuseOptions(request, ['$select']);
  const user = findLive(request, key);
  if (user === undefined || refused) return refused ?? notFound(key);
  const manager = truth.users.records.get(managerOf(user) ?? '');
  if (manager?.state !== 'live') return notFound('manager');
  const context = { '@odata.context': contextOf(request, 'directoryObjects/$entity', undefined) };
  const type = { '@odata.type': isAgent(manager) ? agentType : '#microsoft.graph.user' };
  return { status: 200, body: { ...context, ...type, ...show(manager, 'users', select) } };
}

/** Answers `/users/{id}/directReports`: live users only. */
export function answerReports(request: DirectoryRequest, key: string): Answer {
  const { truth, query } = request;
  const select = selectOf(query);
  const refused = (select && refuseSelect('users', select, false)) ?? refuseOptions(request, ['$select', '$top']);
  const user = findLive(request, key);
  if (user === undefined || refused) return refused ?? notFound(key);
  const cut = page(request, `users/${key}/directReports`, reportsOf(truth, user.id), (report) => report.index);
  if ('status' in cut) return cut;
  const body: Record<string, unknown> = { '@odata.context': contextOf(request, 'directoryObjects', select) };
  if (cut.next !== undefined) {
    body['@odata.nextLink'] = cut.next;
  }
  const value = cut.items.map((report) => ({
    '@odata.type': '#microsoft.graph.user',
    ...show(report, 'users', select),
  }));
  return { status: 200, body: { ...body, value } };
}

/** Answers `/organization` and `/organization/{id}`: the tenant itself. */
export function answerOrganization(origin: string, truth: Truth, id: string | undefined): Answer {
  const organization = {
    id: truth.tenantId,
    displayName: truth.name,
    tenantType: 'AAD',
    countryLetterCode: 'DE',
    preferredLanguage: 'de',
    verifiedDomains: [{ name: truth.domain, isDefault: true, isInitial: true, type: 'Managed', capabilities: 'Email' }],
  };
  const context = `${origin}/v1.0/$metadata#organization`;
  if (id === undefined || id === '') return { status: 200, body: { '@odata.context': context, value: [organization] } };
  return id.toLowerCase() === truth.tenantId
    ? { status: 200, body: { '@odata.context': `${context}/$entity`, ...organization } }
    : notFound(id);
}
