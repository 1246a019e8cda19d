// Finds the problems of an expression. A zod union would report each once per form.
import { didYouMean, pathProblem } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { expressionForms } from './expression-schema.ts';
import { type Mistake, placeText } from './lines.ts';

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null;

type Form = keyof typeof expressionForms;
const forms = Object.keys(expressionForms) as Form[];
const deepest = 8;
const maxParts = 100;

/** Returns every problem of the expression at `path`; with none, the schema accepts it. */
export function expressionProblems(written: unknown, path: readonly PropertyKey[]): Mistake[] {
  const budget = { parts: maxParts };
  const ofManager = managerProblems(written, path);
  if (ofManager) return ofManager;
  const problems = problemsOf(written, path, 1, budget);
  return budget.parts < 0 ? [{ path, text: `${placeText(path)} has more than ${maxParts} parts` }] : problems;
}

// The value of a manager stands alone: the commit sets it, when the manager is known.
function managerProblems(written: unknown, path: readonly PropertyKey[]): Mistake[] | undefined {
  if (!isRecord(written) || !Object.hasOwn(written, 'manager')) return undefined;
  const place = placeText(path);
  const { manager, ...others } = written as Record<string, unknown>;
  const beside = Object.keys(others);
  if (beside.length > 0)
    return [{ path, text: `${place} has ${beside.join(' and ')} beside manager: the manager's value stands alone` }];
  if (typeof manager !== 'string') {
    const text = `${place}.manager must be a property or path of the manager, as in { manager: displayName }`;
    return [{ path: [...path, 'manager'], text }];
  }
  const problem = pathProblem(manager);
  return problem ? [{ path: [...path, 'manager'], text: `${place}.manager: ${problem}` }] : [];
}

function problemsOf(
  written: unknown,
  path: readonly PropertyKey[],
  depth: number,
  budget: { parts: number },
): Mistake[] {
  const place = placeText(path);
  budget.parts -= 1;
  if (budget.parts < 0) return [];
  if (depth > deepest) return [{ path, text: `${place} is nested more than ${deepest} deep` }];
  if (typeof written === 'string') {
    const problem = pathProblem(written);
    // "fields.title: …" is enough: a field's expression is always in `from`.
    return problem ? [{ path, text: `${place.replace(/\.from$/, '')}: ${problem}` }] : [];
  }
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    return [{ path, text: `${place} must be a property, a path, or one of ${forms.join(', ')}` }];
  }
  const keys = Object.keys(written);
  if (keys.includes('manager'))
    return [{ path, text: `${place}: the manager's value stands alone, as in from: { manager: displayName }` }];
  const [form, ...others] = forms.filter((one) => keys.includes(one));
  if (!form) return [{ path, text: `${place} ${unknownForm(keys)}` }];
  if (others.length > 0) {
    return [{ path, text: `${place} has both ${form} and ${others.join(' and ')}: nest one in the other` }];
  }
  const shape: Record<string, { safeParse(value: unknown): { success: boolean } }> = expressionForms[form].shape;
  const strange = keys.filter((key) => !Object.hasOwn(shape, key));
  const problems: Mistake[] = strange.map((key) => {
    const near = didYouMean(nearestName(key, Object.keys(shape)));
    const there = near || ` (there are ${Object.keys(shape).join(', ')})`;
    return { path: [...path, key], text: `there is no ${JSON.stringify(key)} in ${place}${there}` };
  });
  const add = (key: string, says: string) => problems.push({ path: [...path, key], text: `${place}.${key} ${says}` });
  const values = written as Record<string, unknown>;
  const inside = (value: unknown, ...parts: PropertyKey[]) => problemsOf(value, [...path, ...parts], depth + 1, budget);
  if (form === 'first' || form === 'join') {
    const list = values[form];
    if (!Array.isArray(list) || list.length === 0) add(form, 'must be a list of one or more');
    else problems.push(...list.flatMap((part, index) => inside(part, form, index)));
  } else if (form !== 'constant') problems.push(...inside(values[form], form));
  // zod ignores this one key.
  if (form === 'map' && isRecord(values.values) && Object.hasOwn(values.values, '__proto__'))
    add('values', 'cannot have the key "__proto__"');
  for (const [key, must] of Object.entries(leaves[form] ?? {})) {
    if (!shape[key]?.safeParse(values[key]).success) add(key, `must be ${must}`);
  }
  return problems;
}

const aConstant = 'a text (at most 4,096 characters), a number, true, false or a list of at most 100 texts';

/** Keys of a form that hold no expression, with their valid values. */
const leaves: { readonly [form in Form]?: Readonly<Record<string, string>> } = {
  join: { with: 'a text of at most 100 characters' },
  constant: { constant: aConstant },
  map: { values: `a table of at most 1,000 entries, from a value to ${aConstant}`, otherwise: aConstant },
};

function unknownForm(keys: readonly string[]): string {
  const near = keys.map((key) => nearestName(key, forms)).find((name) => name !== undefined);
  return `must have one of ${forms.join(', ')}${didYouMean(near)}`;
}
