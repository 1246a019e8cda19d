// Limits of a settings file and of what it leads to. Stored settings of an earlier release may be beyond them: they stay
// in force, and the next file has to be within.
import { kindProblems } from './fields.ts';
import { maxGroupEntries } from './groups-schema.ts';
import type { Mistake } from './lines.ts';
import { isRecord } from './problems.ts';
import { maxFields, reservedNames } from './schema.ts';
import { maxScopeGroups } from './scope-schema.ts';

const shown = (number: number) => number.toLocaleString('en-US');

/** Returns the problems of a document, and of the layers `merged` with it. Accepts any document, also an invalid one. */
export function problemsOfLimits(document: unknown, merged: unknown): Mistake[] {
  const named = Object.entries(partOf(document, 'fields', {}));
  const layers = Object.entries(partOf(merged, 'fields', {}));
  const inForce = layers.filter(([, field]) => field !== null);
  const fields = Math.max(named.length, inForce.length);
  const groups = partOf(partOf(document, 'scope', {}), 'groups', []);
  const choice = partOf(document, 'groups', {});
  return [
    ...(fields > maxFields
      ? [{ path: ['fields'], text: `fields: there are ${shown(fields)}, and at most ${maxFields} are possible` }]
      : []),
    ...named.flatMap(([name, field]) =>
      field !== null && reservedNames.includes(name)
        ? [
            {
              path: ['fields', name],
              text: `fields.${name}: every object of JavaScript has this name already: choose another`,
            },
          ]
        : [],
    ),
    ...kindProblems(named, new Map(layers)),
    ...(Array.isArray(groups) && groups.length > maxScopeGroups
      ? [
          {
            path: ['scope', 'groups'],
            text: `scope.groups: there are ${shown(groups.length)}, and at most ${shown(maxScopeGroups)} are possible`,
          },
        ]
      : []),
    ...(['only', 'except'] as const).flatMap((key) => {
      const entries = partOf(choice, key, []);
      return Array.isArray(entries) && entries.length > maxGroupEntries
        ? [
            {
              path: ['groups', key],
              text: `groups.${key}: there are ${shown(entries.length)}, and at most ${shown(maxGroupEntries)} are possible`,
            },
          ]
        : [];
    }),
  ];
}

function partOf<Part extends object>(document: unknown, key: string, none: Part): Part | object {
  const part = isRecord(document) && Object.hasOwn(document, key) ? document[key] : undefined;
  return typeof part === 'object' && part !== null ? part : none;
}
