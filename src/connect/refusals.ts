// The refusals of the consent page, with status, explanation and cure.

const newLink = 'Ask the person who sent you the link for a new one.';
const startAgain = 'Start again from the link that you received.';

/** The refusals by name. None changes anything. */
export const refusals = {
  no_invitation: {
    status: 404,
    title: 'You need an invitation',
    what: 'This page opens only by a personal link, and the address contains no valid one.',
    cure: 'Check that you copied the whole link, or ask the person who sent it for a new one.',
  },
  invitation_expired: {
    status: 410,
    title: 'This invitation has expired',
    what: 'Invitations are valid for a limited time, and the time of this one is over.',
    cure: newLink,
  },
  invitation_withdrawn: {
    status: 410,
    title: 'This invitation was withdrawn',
    what: 'The invitation is no longer valid.',
    cure: newLink,
  },
  cross_site: {
    status: 403,
    title: 'This request came from another page',
    what: 'The button that you pressed is not on a page of this site.',
    cure: startAgain,
  },
  cookie_missing: {
    status: 400,
    title: 'Your browser sent no cookie',
    what: 'The cookie that ties the sign-in to this browser did not come back.',
    cure: 'Allow cookies for this site, stay in one browser window, and start again from the link that you received.',
  },
  state_invalid: {
    status: 400,
    title: 'This answer belongs to no sign-in of this site',
    what: 'The address that led here does not belong to a sign-in that started here.',
    cure: startAgain,
  },
  state_expired: {
    status: 410,
    title: 'This took too long',
    what: 'A sign-in is valid for a limited time (15 minutes to sign in, 30 minutes after that), and that time is over.',
    cure: startAgain,
  },
  state_used: {
    status: 409,
    title: 'This step was already done',
    what: 'Each step works once, in the browser that started it. This one was used already, or belongs to another browser.',
    cure: 'If you saw that your tenant is connected, or that your consent waits for confirmation, all is well. If not, start again from the link that you received.',
  },
  declined: {
    status: 403,
    title: 'Consent was not given',
    what: 'You cancelled, or this account may not consent for the whole organization.',
    cure: 'Start again and accept, signed in as a Privileged Role Administrator or Global Administrator.',
  },
  consent_refused: {
    status: 403,
    title: 'Microsoft did not accept the consent',
    what: 'Microsoft answered the consent with an error.',
    cure: 'Start again as a Privileged Role Administrator or Global Administrator; if it happens again, send the code below to the person who sent you the link.',
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
    cure: 'Start again with a work account of your organization; if it happens again, send the code below to the person who sent you the link.',
  },
  sign_in_invalid: {
    status: 502,
    title: 'The sign-in could not be confirmed',
    what: 'The answer of Microsoft about your sign-in could not be verified.',
    cure: 'Start again; if it happens again, tell the person who sent you the link, with the code below if there is one.',
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
    cure: 'Start again, signed in as one of these (activate an eligible role first). If another role lets you consent, ask the person who sent you the link for one that names your tenant.',
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
    what: 'This invitation is not for the tenant that you signed in to.',
    cure: `Start again with an account of the right tenant. To connect this one too: ${newLink}`,
  },
  other_customer: {
    status: 409,
    title: 'This tenant belongs to another customer',
    what: 'The tenant that you signed in to is already connected for another customer.',
    cure: 'Sign in to the right tenant, or ask the person who sent you the link to check this.',
  },
  unassigned: {
    status: 409,
    title: 'This tenant is connected already',
    what: 'The tenant that you signed in to is connected, but not yet assigned to a customer.',
    cure: 'Ask the person who sent you the link to assign it (entra-sync tenant rename TENANT --ref CUSTOMER).',
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
    what: 'This page had an internal error, which has been logged.',
    cure: 'Start again; if it happens again, tell the person who sent you the link when it happened.',
  },
} as const satisfies Readonly<Record<string, { status: number; title: string; what: string; cure: string }>>;

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
