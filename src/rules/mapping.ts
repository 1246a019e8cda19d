// From a source document to the profile fields, and to the columns that a user is found by.
import type { Json, Source } from './decode.ts';

/** One profile field and the Graph property that it comes from. */
export type Field = { readonly field: string; readonly from: string };

/** Always selected, whatever the mapping names: ids, match keys and scope rest on them. */
export const alwaysSelected = ['id', 'userPrincipalName', 'mail', 'displayName', 'accountEnabled', 'userType'] as const;

/** The properties that the users stream asks Graph for, without doubles, in a stable order. */
export function selectedProperties(fields: readonly Field[]): string[] {
  const mapped = fields.map((field) => field.from).sort();
  return [...new Set([...alwaysSelected, ...mapped])];
}

/** The profile fields that a source document gives. A field without a value is left out. */
export function mapUser(source: Source, fields: readonly Field[]): { [field: string]: Json } {
  const mapped: { [field: string]: Json } = {};
  for (const { field, from } of fields) {
    const value = Object.hasOwn(source, from) ? source[from] : undefined;
    if (value !== undefined && value !== null) mapped[field] = value;
  }
  return mapped;
}

/** Every user has one, so an unknown user that comes without it was not shown whole. */
export const userMark = 'userPrincipalName';

export type UserKeys = { userPrincipalName: string | null; mail: string | null; enabled: boolean };

/** The columns kept beside the documents. A user whose accountEnabled was not shown counts as enabled. */
export function userKeys(source: Source): UserKeys {
  return {
    userPrincipalName: textOrNull(source.userPrincipalName),
    mail: textOrNull(source.mail),
    enabled: source.accountEnabled !== false,
  };
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
