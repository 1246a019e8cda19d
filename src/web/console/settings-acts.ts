// The acts of the settings page: each form becomes the document that a settings file would be.
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { parseSettings, parseYaml } from '../../settings/files.ts';
import { roleSettings } from '../../settings/schema.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { isTenant } from '../../store/console/tenants.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { longActMs } from '../act-time.ts';
import { type Action, action, type Problem } from '../page.ts';
import { pressed } from './form-parts.ts';
import { settingsPage } from './settings.ts';
import { editors, editorsOf, type FormName, mergedOf, ownerOf, scopeLists, scopeTexts } from './settings-forms.ts';
import { settle } from './settings-preview.ts';

type Sent = Readonly<Record<string, unknown>>;
/** The document that a form means, or the problem that keeps it from being one. */
type Written = { readonly written: unknown } | { readonly problems: readonly Problem[] };

const textOf = (sent: Sent, name: string) => {
  const value = sent[name];
  return typeof value === 'string' ? value.replaceAll(/\r\n?/g, '\n').trim() : undefined;
};
const linesOf = (text: string) => [
  ...new Set(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
  ),
];

function settingsAct(
  name: FormName,
  write: (sent: Sent, merged: SettingsDocument) => Written,
  fieldOf: (problem: string) => string | undefined,
): Action {
  return action({
    route: `POST /console/t/:tenant/settings/${name}`,
    form: { ...pressed, form: z.literal(name), version: z.string().regex(/^\d{1,9}$/) },
    // Fields, lists and files have names of their own.
    others: true,
    audit: 'settings.changed',
    statementMs: longActMs,
    act: async (database: Database | Transaction, view) => {
      const tenantId = view.params.tenant ?? '';
      if (!(await isTenant(database, tenantId))) return undefined;
      const { act, seen, version } = view.query;
      const merged = mergedOf(await storedSettings(database, tenantId));
      const given = write(view.query as Sent, merged);
      if ('problems' in given) return given;
      const { written } = given;
      return settle(database as Database, {
        ...{ tenantId, actor: view.viewer.actor, written, act, seen, fieldOf },
        version: Number(version),
      });
    },
    again: settingsPage,
  });
}

function writeFields(sent: Sent, merged: SettingsDocument): Written {
  const changed = Object.keys(merged.fields ?? {}).flatMap((field) => {
    const [owner, chosen] = [textOf(sent, `owner.${field}`), textOf(sent, `editors.${field}`)];
    const change = {
      ...(owner !== undefined && owner !== ownerOf(merged, field) && { owner }),
      ...(chosen !== undefined &&
        Object.hasOwn(editors, chosen) &&
        chosen !== editorsOf(merged, field) && { editableBy: linesOf(chosen.replaceAll(' ', '\n')) }),
    };
    return Object.keys(change).length > 0 ? [[field, change]] : [];
  });
  return { written: changed.length > 0 ? { fields: Object.fromEntries(changed) } : {} };
}

/** Returns a value of YAML, or its problem. */
function yamlOf(text: string, field: string): { readonly value: unknown } | { readonly problems: readonly Problem[] } {
  const parsed = parseYaml(text);
  if ('value' in parsed) return { value: parsed.value };
  return { problems: [{ field, message: `This is no YAML: ${parsed.problem}.` }] };
}

function writeScope(sent: Sent, merged: SettingsDocument): Written {
  const stored = scopeTexts(merged);
  const changed = (name: string) => {
    const text = textOf(sent, `scope.${name}`);
    return text !== undefined && text !== stored[`scope.${name}`] ? text : undefined;
  };
  const [userType, external, agents, where] = ['userType', 'external', 'agents', 'where'].map(changed);
  const conditions = where === undefined || where === '' ? { value: [] } : yamlOf(where, 'scope.where');
  if ('problems' in conditions) return conditions;
  const lists = scopeLists.flatMap((name) => {
    const text = changed(name);
    return text === undefined ? [] : [[name, linesOf(text)]];
  });
  const scope = {
    ...(userType !== undefined && { userType: userType === 'any' ? userType : userType.split(' ') }),
    ...(external !== undefined && { external }),
    ...(agents !== undefined && { agents }),
    ...(where !== undefined && { where: conditions.value }),
    ...Object.fromEntries(lists),
  };
  return { written: Object.keys(scope).length > 0 ? { scope } : {} };
}

function writePortal(sent: Sent): Written {
  const read = yamlOf(textOf(sent, 'portal') ?? '', 'portal');
  return 'problems' in read ? read : { written: { portal: read.value } };
}

function writeRoles(sent: Sent, merged: SettingsDocument): Written {
  const changed = roleSettings.flatMap((name) => {
    const text = textOf(sent, name);
    const groups = text === undefined ? undefined : linesOf(text);
    const same = groups?.join('\n') === (merged[name]?.groups ?? []).join('\n');
    return groups === undefined || same ? [] : [[name, { groups }]];
  });
  return { written: Object.fromEntries(changed) };
}

function writeFile(sent: Sent): Written {
  if (sent.reset === 'yes') return { written: null };
  try {
    return { written: parseSettings(textOf(sent, 'file') ?? '', 'the text') };
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    return { problems: [{ field: 'file', message: `${error.message}.` }] };
  }
}

/** Returns the input of a list or choice of the scope whose setting a problem names. */
function scopeField(problem: string): string | undefined {
  const [, name] = /\bscope\.(\w+)/.exec(problem) ?? [];
  return name === undefined ? undefined : `scope.${name}`;
}

function fieldsField(problem: string): string | undefined {
  const [, field, key] = /^fields\.(.+)\.(owner|editableBy)/.exec(problem) ?? [];
  return field === undefined ? undefined : `${key === 'owner' ? 'owner' : 'editors'}.${field}`;
}

export const settingsActs: readonly Action[] = [
  settingsAct('fields', writeFields, fieldsField),
  settingsAct('scope', writeScope, scopeField),
  settingsAct('portal', writePortal, () => 'portal'),
  settingsAct('roles', writeRoles, (problem) => roleSettings.find((name) => problem.startsWith(name))),
  settingsAct('file', writeFile, () => 'file'),
];
