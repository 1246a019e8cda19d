// The one table of who may use which route. The server reads it, and a test walks it: a route without a line fails.
//
// How to add a page: 1. a line here; 2. a file in console/ (or portal/) that calls `page` or `action` of page.ts with
// this route; 3. its name in the list of the part (console/pages.ts). The SQL of the console is in src/store/console.
// A route with `:tenant` gives ops any tenant, and all others only their own; every refusal is a 404.

import type { Role } from '../rules/viewers.ts';

/** The person or operator behind a request. */
export type Viewer = {
  readonly roles: readonly Role[];
  /** The tenant of the sign-in; null for `--local`. Ops are not bound to it. */
  readonly tenantId: string | null;
  readonly accountId: string | null;
  /** For change rows and the audit: `account:ID`, `entra:tid/oid`, or the name that `--local` was given. */
  readonly actor: string;
  /** The words of the header: what the viewer is, and for `--local` the actor. */
  readonly shownAs: string;
  /** By tenant: why the vendor's person looks at people there. */
  readonly reasons: Readonly<Record<string, string>>;
  /** On this machine an operator looks as this person. `looksOnly`: no form is taken. */
  readonly standing?: { readonly actor: string; readonly looksOnly: boolean };
};

const opsRead = ['ops_act', 'ops_read'] as const;
const ownRead = [...opsRead, 'admin', 'reader'] as const;
// A reader sees the present, and the history of no person.
const ownHistory = [...opsRead, 'admin'] as const;
const ownAct = ['ops_act', 'admin'] as const;
const assigning = [...ownAct, 'publisher'] as const;
const assigned = [...ownRead, 'publisher', 'publisher_read'] as const;
// Everybody with a live account: `/me` names no account, it is the viewer's own.
const oneself = ['user'] as const;
// People who manage others now. A page of one person looks whether the viewer manages that person.
const overOthers = ['manager'] as const;

/** Each route and the roles that may use it; `everybody` also without a session. */
export const access = {
  // The ways in: `/enter/TOKEN` of `--local`, the others of a sign-in at Microsoft.
  'GET /enter/:token': 'everybody',
  'GET /enter': 'everybody',
  'GET /entered': 'everybody',
  'GET /left': 'everybody',
  'GET /': 'everybody',
  'GET /news.js': 'everybody',
  'GET /favicon.ico': 'everybody',
  'POST /leave': 'everybody',
  'GET /me': oneself,
  'POST /me': oneself,
  'GET /me/photo': oneself,
  'GET /me/preview': oneself,
  'POST /me/preview': oneself,
  'GET /team': overOthers,
  'GET /team.csv': overOthers,
  'GET /team/news': overOthers,
  'GET /team/:account': overOthers,
  'POST /team/:account': overOthers,
  'GET /team/:account/photo': overOthers,
  'GET /team/:account/preview': overOthers,
  'POST /team/:account/preview': overOthers,
  'GET /console': opsRead,
  'GET /console/tenants.csv': opsRead,
  'GET /console/find': opsRead,
  'GET /console/find.csv': opsRead,
  'GET /console/audit': opsRead,
  'GET /console/audit.csv': opsRead,
  'GET /console/invitations': opsRead,
  'GET /console/invitations.csv': opsRead,
  'POST /console/invitations': ['ops_act'],
  'POST /console/invitations/withdraw': ['ops_act'],
  'GET /console/webhooks': opsRead,
  'GET /console/webhooks.csv': opsRead,
  'GET /console/webhooks/:webhook': opsRead,
  'POST /console/webhooks/:webhook/test': ['ops_act'],
  'POST /console/webhooks/:webhook/pause': ['ops_act'],
  'POST /console/webhooks/:webhook/resume': ['ops_act'],
  'POST /console/webhooks/:webhook/replay': ['ops_act'],
  'POST /console/t/:tenant/reason': opsRead,
  'GET /console/t/:tenant': ownRead,
  'GET /console/t/:tenant/news': ownRead,
  'POST /console/t/:tenant/sync': ownAct,
  'POST /console/t/:tenant/pause': ['ops_act'],
  'POST /console/t/:tenant/resume': ['ops_act'],
  'POST /console/t/:tenant/retry': ['ops_act'],
  'POST /console/t/:tenant/acknowledge': ownAct,
  'GET /console/t/:tenant/cycles.csv': ownRead,
  'GET /console/t/:tenant/cycles/:cycle': ownRead,
  'GET /console/t/:tenant/cycles/:cycle/changes.csv': ownHistory,
  'POST /console/t/:tenant/cycles/:cycle/undo': ownAct,
  'GET /console/t/:tenant/removals': ownRead,
  'GET /console/t/:tenant/removals.csv': ownRead,
  'POST /console/t/:tenant/removals': ownAct,
  'GET /console/t/:tenant/removals/:list': ownRead,
  'POST /console/t/:tenant/removals/:list/undo': ownAct,
  'GET /console/t/:tenant/people': ownRead,
  'GET /console/t/:tenant/people.csv': ownRead,
  'GET /console/t/:tenant/people/:account': ownRead,
  'GET /console/t/:tenant/people/:account/photo': ownRead,
  'GET /console/t/:tenant/people/:account/history': ownHistory,
  'POST /console/t/:tenant/people/:account/edit': ownAct,
  'POST /console/t/:tenant/people/:account/undo': ownAct,
  'POST /console/t/:tenant/people/:account/read': ownAct,
  'GET /console/t/:tenant/groups': ownRead,
  'GET /console/t/:tenant/groups.csv': ownRead,
  'GET /console/t/:tenant/groups/:group': ownRead,
  'GET /console/t/:tenant/groups/:group/members.csv': ownRead,
  'GET /console/t/:tenant/changes': ownHistory,
  'GET /console/t/:tenant/changes.csv': ownHistory,
  'GET /console/t/:tenant/audit': ownHistory,
  'GET /console/t/:tenant/audit.csv': ownHistory,
  // All that a publisher sees: rules, and people by name and groups alone.
  'GET /console/t/:tenant/assignments': assigned,
  'GET /console/t/:tenant/assignments.csv': assigned,
  'GET /console/t/:tenant/assignments/new': assigning,
  'POST /console/t/:tenant/assignments/new': assigning,
  'GET /console/t/:tenant/assignments/slot': assigning,
  'POST /console/t/:tenant/assignments/slot': assigning,
  'GET /console/t/:tenant/assignments/item': assigning,
  'POST /console/t/:tenant/assignments/item': assigning,
  'GET /console/t/:tenant/assignments/preview': assigning,
  'POST /console/t/:tenant/assignments/preview': assigning,
  'GET /console/t/:tenant/assignments/people': assigned,
  'GET /console/t/:tenant/assignments/people/:account': assigned,
  'GET /console/t/:tenant/assignments/:assignment': assigned,
  'POST /console/t/:tenant/assignments/:assignment/change': assigning,
  'POST /console/t/:tenant/assignments/:assignment/move': assigning,
  'POST /console/t/:tenant/assignments/:assignment/end': assigning,
  'GET /console/t/:tenant/settings': ownRead,
  // Mapping, limits, retention, credential and who has which role are the vendor's.
  'POST /console/t/:tenant/settings/fields': ownAct,
  'POST /console/t/:tenant/settings/scope': ownAct,
  'POST /console/t/:tenant/settings/portal': ownAct,
  'GET /console/t/:tenant/contacts': ownAct,
  'POST /console/t/:tenant/contacts': ownAct,
  'POST /console/t/:tenant/settings/roles': ['ops_act'],
  'POST /console/t/:tenant/settings/file': ['ops_act'],
} as const satisfies Readonly<Record<string, readonly Role[] | 'everybody'>>;

export type Route = keyof typeof access;

const isOps = (role: Role) => role === 'ops_act' || role === 'ops_read';

/**
 * Returns the first of the viewer's roles that may use the route, or undefined. `tenantId` is the route's `:tenant`, if
 * it has one.
 */
export function roleFor(viewer: Viewer, route: Route, tenantId: string | undefined): Role | undefined {
  const allowed: readonly Role[] | 'everybody' = access[route];
  if (allowed === 'everybody' || (viewer.standing?.looksOnly && route.startsWith('POST '))) return undefined;
  return viewer.roles.find(
    (role) =>
      allowed.includes(role) &&
      (isOps(role) || !route.includes('/:tenant') || (tenantId !== undefined && tenantId === viewer.tenantId)),
  );
}

/** Returns whether the viewer may use the route. */
export function mayUse(viewer: Viewer, route: Route, tenantId: string | undefined): boolean {
  return access[route] === 'everybody' || roleFor(viewer, route, tenantId) !== undefined;
}

/**
 * Returns whether the vendor's person has yet to say why: before a page or download opens, or an act of the page is done
 * by `route`.
 */
export function wantsReason(
  one: { readonly asksReason: boolean },
  route: Route,
  { viewer, params: { tenant } }: { readonly viewer: Viewer; readonly params: Readonly<Record<string, string>> },
): boolean {
  const byOps = roleFor(viewer, route, tenant)?.startsWith('ops') === true;
  return one.asksReason && byOps && tenant !== undefined && !viewer.reasons[tenant];
}

/** Returns the path of a route with these parts. */
export function pathOf(route: Route, params: Readonly<Record<string, string>>): string {
  const [, path = ''] = route.split(' ');
  return path.replaceAll(/:(\w+)/g, (_whole, name: string) => params[name] ?? '');
}

/** Returns the path where a viewer of this tenant starts in the console; undefined where no page there is for the viewer. */
export function consoleStart(
  tenantId: string | null,
  may: (route: Route, tenantId: string | undefined) => boolean,
): string | undefined {
  if (may('GET /console', undefined)) return '/console';
  if (tenantId === null) return undefined;
  const starts = ['GET /console/t/:tenant', 'GET /console/t/:tenant/assignments'] as const;
  const start = starts.find((route) => may(route, tenantId));
  return start && pathOf(start, { tenant: tenantId });
}
