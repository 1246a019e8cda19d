// What a plan of `explain (analyze, format json)` has read.

export type Plan = {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Join Filter'?: number;
  Plans?: Plan[];
};

/** The rows that a plan read of each table. */
export function rowsRead(plan: Plan, read = new Map<string, number>()): Map<string, number> {
  const table = plan['Relation Name'];
  const rows = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
  if (table !== undefined) read.set(table, (read.get(table) ?? 0) + rows);
  for (const part of plan.Plans ?? []) rowsRead(part, read);
  return read;
}
