// Durations as settings write them: `40m`, `7d`.
import { z } from 'zod';

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Returns the milliseconds of `40m`, `7d` …, or undefined for any other text. */
export function durationMs(text: string): number | undefined {
  const match = /^(\d{1,9})([smhd])$/.exec(text.trim());
  const unit = units[match?.[2] ?? ''];
  return match && unit ? Number(match[1]) * unit : undefined;
}

/** Returns the schema of a duration within bounds. */
export const duration = (least: string, most: string, description: string) =>
  z
    .string()
    .superRefine((text, context) => {
      const ms = durationMs(text);
      if (ms === undefined)
        context.addIssue(`${JSON.stringify(text)} is not a duration: write a whole number and s, m, h or d, like 40m`);
      else if (ms < Number(durationMs(least)) || ms > Number(durationMs(most)))
        context.addIssue(`${text} is not between ${least} and ${most}`);
    })
    .meta({ description: `${description} From ${least} to ${most}.`, pattern: '^\\s*\\d{1,9}[smhd]\\s*$' });
