// A list of checks: ok, failed with a cure, or not checked because another failed.
import { type ErrorCode, ExpectedError, errorCodeOf, exitCodeOf } from '../errors.ts';
import { describeDatabaseError } from '../store/database/pool.ts';

export type Check = {
  /** Null for a check of the installation. */
  readonly tenant: { readonly id: string; readonly name: string } | null;
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed' | 'not_checked';
  readonly message: string;
  readonly cure: string | null;
  readonly code: ErrorCode | 'defect' | null;
  /** 0 unless the check failed. */
  readonly exitCode: number;
};

/** A finding with a `cure` is a warning. Without a `value`, checks that need it are not made. */
export type Finding<Value> = { readonly says: string; readonly cure?: string; readonly value?: Value };

/** A check with its `value` for the checks that need it. */
export type Made<Value> = { readonly check: Check; readonly value?: Value };

export type Checklist = {
  readonly checks: Check[];
  /** Makes one check, unless a check that it `needs` has no value. Throws only an interruption. */
  make<Value>(
    name: string,
    needs: readonly Made<unknown>[],
    work: () => Promise<Finding<Value>> | Finding<Value>,
  ): Promise<Made<Value>>;
};

/** Opens a list. Calls `onCheck` with each check as it is made. */
export function openChecklist(
  tenant: Check['tenant'],
  options: { signal: AbortSignal; onCheck?: (check: Check) => void; onDefect?: (error: unknown) => void },
): Checklist {
  const checks: Check[] = [];
  return {
    checks,
    make: async (name, needs, work) => {
      const made = await runCheck(name, needs, work);
      checks.push(made.check);
      options.onCheck?.(made.check);
      return made;
    },
  };

  async function runCheck<Value>(
    name: string,
    needs: readonly Made<unknown>[],
    work: () => Promise<Finding<Value>> | Finding<Value>,
  ): Promise<Made<Value>> {
    const base = { tenant, check: name, cure: null, code: null, exitCode: 0 };
    const lacking = needs.find((one) => one.value === undefined);
    if (lacking) return { check: { ...base, state: 'not_checked', message: `needs ${lacking.check.check}` } };
    try {
      const { says, cure, value } = await work();
      const check: Check = { ...base, state: cure === undefined ? 'ok' : 'warning', message: says, cure: cure ?? null };
      return value === undefined ? { check } : { check, value };
    } catch (thrown) {
      if (options.signal.aborted) throw options.signal.reason;
      const error = describeDatabaseError(thrown);
      const code = errorCodeOf(error) as ErrorCode | 'defect';
      if (!(error instanceof ExpectedError)) options.onDefect?.(error);
      const { message, cure = null } =
        error instanceof ExpectedError ? error : { message: 'a defect, please report it', cure: null };
      return { check: { ...base, state: 'failed', message, cure, code, exitCode: exitCodeOf(error) } };
    }
  }
}

/** Returns the exit code of the first failed check, or 0. */
export function firstExitCode(checks: readonly Check[]): number {
  return checks.find(({ state }) => state === 'failed')?.exitCode ?? 0;
}
