// The bench's Graph for clients that list instead of following delta: users, groups, members, and a `$batch` of them.
import { type Directory, groupOf, membersOf, userOf } from './directory.ts';

export type Listings = { answer(url: string, body: string): Buffer };

const listed = 999;

export function makeListings(origin: string, tenantId: string, directory: Directory): Listings {
  const users = directory.userIds.map((_, number) => Buffer.from(JSON.stringify(userOf(directory, number))));
  const typed = users.map((user) =>
    Buffer.from(`{"@odata.type":"#microsoft.graph.user",${user.subarray(1).toString()}`),
  );
  const groups = directory.groupIds.map((_, number) => Buffer.from(JSON.stringify(groupOf(directory, number))));
  const numberOf = new Map(directory.groupIds.map((id, number) => [id, number]));
  const fixed = new Map<string, Buffer>();

  /** Returns the page of a list that begins at `from`; made once. */
  const page = (key: string, path: string, from: number, objects: () => readonly Buffer[]): Buffer => {
    const known = fixed.get(`${key} ${from}`);
    if (known) return known;
    const all = objects();
    const next = from + listed;
    const link =
      next < all.length
        ? `"@odata.nextLink":"${origin}${path}${path.includes('?') ? '&' : '?'}$skiptoken=${next}",`
        : '';
    const parts = all.slice(from, next).flatMap((object, position) => (position === 0 ? [object] : [comma, object]));
    const made = Buffer.concat([
      Buffer.from(`{"@odata.context":"${origin}",${link}"value":[`),
      ...parts,
      Buffer.from(']}'),
    ]);
    fixed.set(`${key} ${from}`, made);
    return made;
  };

  /** Returns members with ids alone for `$select=id`, else with all properties, as Graph does. */
  const membersPage = (path: string, group: number, from: number): Buffer => {
    const idsOnly = /[?&](\$|%24)select=id(&|$)/.test(path);
    return page(`members ${group} ${idsOnly}`, path, from, () => {
      if (idsOnly) return membersOf(directory, group).map((member) => Buffer.from(JSON.stringify(member)));
      const people = Array.from(directory.members[group] ?? [], (number) => typed[number] ?? comma);
      const inner = directory.nested.get(group);
      const shown = inner === undefined ? undefined : groups[inner]?.subarray(1).toString();
      return shown === undefined
        ? people
        : [...people, Buffer.from(`{"@odata.type":"#microsoft.graph.group",${shown}`)];
    });
  };

  const get = (url: string): Buffer => {
    const [, from = '0'] = /[?&]\$skiptoken=(\d+)/.exec(url) ?? [];
    const path = url.replace(/[?&]\$skiptoken=\d+/, '');
    const [, group] = /^\/v1\.0\/groups\/([0-9a-f-]{36})\/members/.exec(url) ?? [];
    if (group !== undefined) return membersPage(path, numberOf.get(group) ?? -1, Number(from));
    if (url.startsWith('/v1.0/directory/deletedItems/')) return Buffer.from('{"value":[]}');
    if (/\/(users|groups)\/\$count/.test(url))
      return Buffer.from(String((url.includes('users') ? users : groups).length));
    if (url.startsWith('/v1.0/users')) return page('users', path, Number(from), () => users);
    if (url.startsWith('/v1.0/groups')) return page('groups', path, Number(from), () => groups);
    if (url.startsWith('/v1.0/directory/deletedItems')) return Buffer.from('{"value":[]}');
    return Buffer.from(JSON.stringify({ id: tenantId, displayName: 'Contoso' }));
  };

  const batch = (body: string): Buffer => {
    const { requests } = JSON.parse(body) as { requests: { id: string; url: string }[] };
    const parts = requests.flatMap(({ id, url }, position) => [
      Buffer.from(`${position > 0 ? ',' : ''}{"id":${JSON.stringify(id)},"status":200,"headers":{},"body":`),
      get(`/v1.0${url.startsWith('/') ? '' : '/'}${url}`),
      Buffer.from('}'),
    ]);
    return Buffer.concat([Buffer.from('{"responses":['), ...parts, Buffer.from(']}')]);
  };

  return { answer: (url, body) => (url.startsWith('/v1.0/$batch') ? batch(body) : get(url)) };
}

const comma = Buffer.from(',');
