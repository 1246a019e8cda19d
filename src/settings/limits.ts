// Limits of a settings file and of what it leads to. Stored settings of an earlier release may be beyond them: they stay
// in force, and the next file has to be within.
import type { Mistake } from './lines.ts';
import { isRecord } from './problems.ts';
import { maxFields, reservedNames } from './schema.ts';
import { maxScopeGroups } from './scope-schema.ts';

const shown = (number: number) => number.toLocaleString('en-US');

/** Returns the problems of a document, and of the layers `merged` with it. Accepts any document, also an invalid one. */
export function problemsOfLimits(document: unknown, merged: unknown): Mistake[] {
  const named = Object.entries(partOf(document, 'fields', {}));
  const inForce = Object.values(partOf(merged, 'fields', {})).filter((field) => field !== null);
  const fields = Math.max(named.length, inForce.length);
  const groups = partOf(partOf(document, 'scope', {}), 'groups', []);
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
    ...(Array.isArray(groups) && groups.length > maxScopeGroups
      ? [
          {
            path: ['scope', 'groups'],
            text: `scope.groups: there are ${shown(groups.length)}, and at most ${shown(maxScopeGroups)} are possible`,
          },
        ]
      : []),
  ];
}

function partOf<Part extends object>(document: unknown, key: string, none: Part): Part | object {
  const part = isRecord(document) && Object.hasOwn(document, key) ? document[key] : undefined;
  return typeof part === 'object' && part !== null ? part : none;
}
