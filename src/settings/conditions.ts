// Finds the problems of the conditions of the scope. A zod union would report each once per operator.
import { conditionProblem, didYouMean } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { type Mistake, placeText } from './lines.ts';
import { maxConditions, maxScopeUsers, operands, scopeLists } from './scope-schema.ts';

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Operator = keyof typeof operands;
const operators = Object.keys(operands) as Operator[];

const must: Readonly<Record<Operator, string>> = {
  in: 'a list of 1 to 1,000 texts, numbers, true or false',
  notIn: 'a list of 1 to 1,000 texts, numbers, true or false',
  matches: 'a glob of 1 to 256 characters, such as *@contoso.com',
  exists: 'true or false',
};

/** Returns every problem of `scope.where`, written as `written`; with none, the schema accepts it. */
export function whereProblems(written: unknown): Mistake[] {
  const path = ['scope', 'where'];
  if (written === undefined) return [];
  if (!Array.isArray(written)) return [{ path, text: 'scope.where must be a list of conditions' }];
  if (written.length > maxConditions) {
    const text = `scope.where: there are ${written.length} conditions, and at most ${maxConditions} are possible`;
    return [{ path, text }];
  }
  return written.flatMap((condition: unknown, index) => problemsOf(condition, [...path, index]));
}

function problemsOf(condition: unknown, path: Mistake['path']): Mistake[] {
  const place = placeText(path);
  if (!isRecord(condition) || typeof condition.property !== 'string')
    return [{ path, text: `${place} must have a property, as in { property: department, in: [IT, Sales] }` }];
  const keys = Object.keys(condition).filter((key) => key !== 'property');
  const strange = keys.filter((key) => !operators.includes(key as Operator));
  const used = operators.filter((operator) => keys.includes(operator));
  const [operator] = used;
  const problems: Mistake[] = strange.map((key) => {
    const near = didYouMean(nearestName(key, operators)) || ` (there are ${operators.join(', ')})`;
    return { path: [...path, key], text: `there is no ${JSON.stringify(key)} in ${place}${near}` };
  });
  if (strange.length === 0 && used.length !== 1) {
    const both = used.length > 1 ? `, and has ${used.join(' and ')}: write two conditions` : '';
    problems.push({ path, text: `${place} must have one of ${operators.join(', ')}${both}` });
  }
  const named = conditionProblem(condition.property, operator !== 'exists');
  if (named) problems.push({ path: [...path, 'property'], text: `${place}: ${named}` });
  for (const one of used) {
    if (!operands[one].safeParse(condition[one]).success)
      problems.push({ path: [...path, one], text: `${place}.${one} must be ${must[one]}` });
  }
  return problems;
}

/** Returns a problem for each list of the scope that is too long. */
export function lengthProblems(scope: unknown): Mistake[] {
  if (!isRecord(scope)) return [];
  return scopeLists.flatMap((name) => {
    const list = scope[name];
    if (!Array.isArray(list) || list.length <= maxScopeUsers) return [];
    const length = list.length.toLocaleString('en-US');
    return [{ path: ['scope', name], text: `scope.${name}: there are ${length}, and at most 10,000 are possible` }];
  });
}
