// Why somebody on the consent page is sent away: each with its status, one sentence what happened, and what to do.

const newLink = 'Ask whoever sent you the link for a new one.';
const startAgain = 'Start again from the link that you were sent.';

/** Each leaves everything as it was. */
export const refusals = {
  no_invitation: {
    status: 404,
    title: 'You need an invitation',
    what: 'This page opens by a personal link only, and the address holds none that is valid.',
    cure: 'Check that the link was copied whole, or ask whoever sent it for a new one.',
  },
  invitation_expired: {
    status: 410,
    title: 'This invitation has expired',
    what: 'Invitations are good for a limited time, and the time of this one is over.',
    cure: newLink,
  },
  invitation_withdrawn: {
    status: 410,
    title: 'This invitation was withdrawn',
    what: 'The invitation is no longer in force.',
    cure: newLink,
  },
  cross_site: {
    status: 403,
    title: 'This request came from another page',
    what: 'The button that was pressed does not stand on a page of ours.',
    cure: startAgain,
  },
  cookie_missing: {
    status: 400,
    title: 'Your browser sent no cookie',
    what: 'The cookie that ties the sign-in to this browser did not come back.',
    cure: 'Allow cookies for this site, use one and the same browser window, and start again from the link that you were sent.',
  },
  state_invalid: {
    status: 400,
    title: 'This answer is not one that we asked for',
    what: 'The address that led here does not hold the mark of a sign-in that was begun here.',
    cure: startAgain,
  },
  state_expired: {
    status: 410,
    title: 'This took too long',
    what: 'A sign-in is good for a limited time (a quarter of an hour to sign in, half an hour after that), and that time is over.',
    cure: startAgain,
  },
  state_used: {
    status: 409,
    title: 'This step was already done',
    what: 'Each step works once, in the browser that it was begun in: it was used already, or belongs to another browser.',
    cure: 'If you saw that your tenant is connected, or that your consent waits to be confirmed, all is well. If not, start again from the link that you were sent.',
  },
  declined: {
    status: 403,
    title: 'Consent was not given',
    what: 'You cancelled, or this account may not consent for the whole organization.',
    cure: 'Start again and accept, signed in as a Privileged Role Administrator or Global Administrator.',
  },
  consent_refused: {
    status: 403,
    title: 'Microsoft did not take the consent',
    what: 'Microsoft answered the consent with an error.',
    cure: 'Start again as a Privileged Role Administrator or Global Administrator; if it happens again, tell whoever sent you the link what stands below.',
  },
  consent_unconfirmed: {
    status: 400,
    title: 'The consent was not confirmed',
    what: 'Microsoft sent you back without saying that consent was given.',
    cure: startAgain,
  },
  sign_in_refused: {
    status: 403,
    title: 'Microsoft did not let you in',
    what: 'The sign-in ended with an error.',
    cure: 'Start again with a work account of your organization; if it happens again, tell whoever sent you the link what stands below.',
  },
  sign_in_invalid: {
    status: 502,
    title: 'The sign-in could not be confirmed',
    what: 'What Microsoft said about your sign-in could not be verified.',
    cure: 'Start again; if it happens again, tell whoever sent you the link what stands below.',
  },
  personal_account: {
    status: 403,
    title: 'This is a personal account',
    what: 'You signed in with a personal Microsoft account, which belongs to no organization.',
    cure: 'Start again with the work account of an administrator of your organization.',
  },
  not_administrator: {
    status: 403,
    title: 'You are not an administrator of this tenant',
    what: 'The account that you signed in with is neither a Privileged Role Administrator nor a Global Administrator.',
    cure: 'Start again, signed in as one (an eligible role has to be activated first). With another role that may consent, ask whoever sent you the link for one that names your tenant.',
  },
  tenant_forged: {
    status: 400,
    title: 'The consent is for another tenant',
    what: 'The answer names another tenant than the one that you signed in to.',
    cure: 'Start again, and give consent with the same account that you sign in with.',
  },
  other_tenant: {
    status: 403,
    title: 'This invitation is for another tenant',
    what: 'You signed in to a tenant that this invitation is not for.',
    cure: `Start again with an account of the tenant that it is for. For one more tenant: ${newLink}`,
  },
  other_customer: {
    status: 409,
    title: 'This tenant belongs to another customer',
    what: 'The tenant that you signed in to is connected for somebody else already.',
    cure: 'Sign in to the right tenant, or ask whoever sent you the link to look into it.',
  },
  unassigned: {
    status: 409,
    title: 'This tenant is connected already',
    what: 'The tenant that you signed in to is connected, but not yet assigned to a customer.',
    cure: 'Ask whoever sent you the link to assign it (entra-sync tenant rename TENANT --ref CUSTOMER).',
  },
  microsoft_unavailable: {
    status: 503,
    title: 'Microsoft cannot be reached',
    what: 'The sign-in service of Microsoft did not answer.',
    cure: 'Start again in a few minutes.',
  },
  unavailable: {
    status: 503,
    title: 'Something is not available',
    what: 'A part of this service did not answer.',
    cure: 'Start again in a few minutes.',
  },
  defect: {
    status: 500,
    title: 'Something went wrong here',
    what: 'This page met an error of its own, which has been logged.',
    cure: 'Start again; if it happens again, tell whoever sent you the link when it happened.',
  },
} as const satisfies Readonly<Record<string, { status: number; title: string; what: string; cure: string }>>;

export type Refusal = keyof typeof refusals;

/** Thrown by the steps of the flow; becomes a page. `code`: what Microsoft called it, an AADSTS number or an OAuth error. */
export class Refused extends Error {
  readonly refusal: Refusal;
  readonly microsoftCode: string | undefined;
  /** Where the person can start again. */
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
