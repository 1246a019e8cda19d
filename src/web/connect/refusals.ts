// The refusals of the consent page with their status. The texts are in the languages.

/** The status of each refusal. None changes anything. */
export const refusals = {
  no_invitation: 404,
  invitation_expired: 410,
  invitation_withdrawn: 410,
  cross_site: 403,
  cookie_missing: 400,
  state_invalid: 400,
  state_expired: 410,
  state_used: 409,
  declined: 403,
  not_allowed: 403,
  consent_refused: 403,
  consent_unconfirmed: 400,
  sign_in_refused: 403,
  sign_in_invalid: 502,
  personal_account: 403,
  not_administrator: 403,
  tenant_forged: 400,
  other_tenant: 403,
  other_customer: 409,
  unassigned: 409,
  microsoft_unavailable: 503,
  unavailable: 503,
  defect: 500,
} as const satisfies Readonly<Record<string, number>>;

export type Refusal = keyof typeof refusals;

/** A refusal that becomes a page. `code` is Microsoft's: an AADSTS number or an OAuth error. */
export class Refused extends Error {
  readonly refusal: Refusal;
  readonly microsoftCode: string | undefined;
  /** The address at which the person can start again. */
  readonly again: string | undefined;

  constructor(
    refusal: Refusal,
    options: { code?: string | undefined; again?: string | undefined; cause?: unknown } = {},
  ) {
    super(refusal, { cause: options.cause });
    this.name = 'Refused';
    this.refusal = refusal;
    this.microsoftCode = options.code;
    this.again = options.again;
  }
}
