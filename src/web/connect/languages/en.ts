// The consent page in English. Other languages have the same texts, with the same names in braces: docs/connect.md,
// "Languages". In a text **strong**, *emphasis* and `code` are the only markup.

/** The language that is shown to readers of no other one. */
export const language = {
  tag: 'en',
  direction: 'ltr' as 'ltr' | 'rtl',
  /** The words for a property of Graph; without one, the property's own name: business phones. */
  properties: {} as Readonly<Record<string, string>>,
  texts: {
    steps: {
      label: 'Steps',
      signIn: 'Sign in',
      consent: 'Consent',
      connected: 'Connected',
      confirmation: 'Confirmation',
    },
    buttons: {
      signIn: 'Sign in with Microsoft',
      consent: 'Continue to consent',
      check: 'Check again',
      consentAgain: 'Consent again',
      startAgain: 'Start again',
      reload: 'Show the current number',
      back: 'Back to {product}',
      allow: 'Allow the sign-in',
    },
    footer: {
      promise: '{product} reads your directory and never writes to it.',
      contact: 'Contact',
      privacy: 'Privacy',
      terms: 'Terms',
    },
    revoke: {
      title: 'How to revoke it',
      how: 'Open the **Microsoft Entra admin center**, *Enterprise applications*, and choose the application of {product}. *Permissions* shows what you have granted. *Properties*, *Delete* takes it back.',
      after:
        'After that nothing more is read. No account in {product} is removed: each keeps its last values and can be edited.',
    },
    welcome: {
      title: 'Connect Microsoft Entra ID',
      heading: 'Connect your Microsoft Entra ID to {product}',
      lead: 'This invitation is for **{customer}**. You sign in and give your consent. {product} can then read your users and groups. This takes about two minutes.',
      roles:
        'You need the role **Privileged Role Administrator** or **Global Administrator**. No other built-in role can give this consent.',
      validUntil: 'This link is valid until {time}.',
      readTitle: 'What is read',
      users: 'The profiles of your users: {properties}.',
      groups: 'Your groups: name, description, address and members.',
      notRead: 'No mailbox, no file, no calendar, no password and no sign-in log is read.',
      keptTitle: 'What is kept',
      kept: 'A copy of these values, refreshed about every {interval}.',
      removed:
        'A user who is removed from your directory is hidden at the next refresh. The copy can be restored for {retention}. Then it is erased.',
      writtenTitle: 'What is written',
      written: '**Nothing.** {product} only reads. It refuses to work with a permission to write.',
      askingTitle: 'Who is asking',
      asking: 'The makers of {product}. This page is at `{host}`.',
    },
    offer: {
      title: 'Give consent',
      heading: 'Give consent for {tenant}',
      yourTenant: 'your tenant',
      signedIn: 'Signed in to',
      tenantId: 'tenant `{id}`',
      connectTo: 'To be connected to',
      customer: '{customer} at {product}',
      next: 'On the next page Microsoft asks you for two permissions: `User.Read.All` and `GroupMember.Read.All`. Both only read. Choose *Accept*, and you come back to this site.',
      confirms:
        'After your consent, {product} confirms that this tenant belongs to {customer}. Nothing is read before that.',
    },
    connected: {
      title: 'Connected',
      mark: 'Done',
      heading: '{tenant} is connected',
      yourTenant: 'Your tenant',
      customer: 'The users and groups are now read for {customer}. You can close this page.',
      due: 'The first reading is due at once. A large directory takes a few minutes.',
      people: 'People read so far: **{count}**',
    },
    next: {
      title: 'What comes next',
      allow:
        'Your people sign in to {product} by an application of its own, which reads nothing. Allow it once for all of them, or each is asked:',
      console: 'As an administrator you see what was read, and decide what waits for a person: {address}',
      people: 'Your people have a page of their own: {address}. A text to send them:',
      letter:
        'At {address} you find the details that {product} shows of you, and can change some of them. Sign in with your work account.',
    },
    lacking: {
      title: 'Groups are not read.',
      what: '{roles} was not granted. Users are still read. {product} has to ask for this permission before you can consent to it.',
    },
    waiting: {
      title: 'Waiting for confirmation',
      mark: 'Your part is done',
      heading: '{product} now confirms {tenant}',
      yourTenant: 'your tenant',
      what: 'Your consent works. A person at {product} now confirms that this tenant belongs to {customer}. Nothing is read before that. You have nothing more to do, and you can close this page.',
      tenant: 'Tenant',
      until: 'Waits until',
      longer: 'If it takes longer than you expected, tell the person who sent you the link.',
      support: 'For the person who sent you the link',
    },
    notYet: {
      title: 'Not connected yet',
      heading: 'The consent does not work yet',
      nothing: 'Nothing was registered.',
      ended: 'This sign-in has used up its checks. Start again to sign in once more. Your consent stays.',
      wait: 'A consent can take some minutes to take effect at Microsoft. Wait a little, then check again. If nothing changes, consent again as a Privileged Role Administrator or Global Administrator.',
      notAsked: 'The application may not ask for this permission yet. Then tell the person who sent you the link.',
      notKnown: 'Microsoft does not yet know of your consent.',
      permissionMissing: 'A permission is missing.',
      tooMuch: 'The application has a permission that {product} must not have.',
      tooMuchCure:
        'Tell the person who sent you the link that the application has to ask for less. After that, consent again.',
      unavailable: 'The sign-in service of Microsoft did not answer.',
      unavailableCure: 'Check again in a few minutes.',
      other: 'Microsoft gave no access.',
      otherCure: 'Send the message below to the person who sent you the link. Then check again.',
      message: 'Message',
    },
    refused: {
      mark: 'Nothing was connected',
      code: 'Microsoft says:',
      link: 'Send this link to your administrator:',
    },
    refusals: {
      no_invitation: {
        title: 'You need an invitation',
        what: 'This page opens only by a personal link, and the address contains no valid one.',
        cure: 'Check that you copied the whole link, or ask the person who sent it for a new one.',
      },
      invitation_expired: {
        title: 'This invitation has expired',
        what: 'An invitation is valid for a limited time.',
        cure: 'Ask the person who sent you the link for a new one.',
      },
      invitation_withdrawn: {
        title: 'This invitation was withdrawn',
        what: 'The invitation is no longer valid.',
        cure: 'Ask the person who sent you the link for a new one.',
      },
      cross_site: {
        title: 'This request came from another page',
        what: 'The button that you pressed is not on a page of this site.',
        cure: 'Start again from the link that you received.',
      },
      cookie_missing: {
        title: 'Your browser sent no cookie',
        what: 'The cookie that ties the sign-in to this browser did not come back.',
        cure: 'Allow cookies for this site, stay in one browser window, and start again from the link that you received.',
      },
      state_invalid: {
        title: 'This answer belongs to no sign-in of this site',
        what: 'The address that led here does not belong to a sign-in that started here.',
        cure: 'Start again from the link that you received.',
      },
      state_expired: {
        title: 'This took too long',
        what: 'You have 15 minutes to sign in, and 30 minutes after that. That time is over.',
        cure: 'Start again from the link that you received.',
      },
      state_used: {
        title: 'This step was already done',
        what: 'Each step works once, in the browser that started it. This one was used already, or belongs to another browser.',
        cure: 'If you saw that your tenant is connected, or that your consent waits for confirmation, all is well. If not, start again from the link that you received.',
      },
      declined: {
        title: 'Consent was not given',
        what: 'You cancelled, so nothing has changed.',
        cure: 'Start again when you want to connect your tenant.',
      },
      not_allowed: {
        title: 'Your account may not give this consent',
        what: 'Only a Privileged Role Administrator or Global Administrator can consent for the whole organization.',
        cure: 'Ask your administrator to open the invitation. With such a role of your own, activate it and start again.',
      },
      consent_refused: {
        title: 'Microsoft did not accept the consent',
        what: 'Microsoft answered the consent with an error.',
        cure: 'Start again as a Privileged Role Administrator or Global Administrator. If it happens again, send the code below to the person who sent you the link.',
      },
      consent_unconfirmed: {
        title: 'The consent was not confirmed',
        what: 'Microsoft sent you back without saying that consent was given.',
        cure: 'Start again from the link that you received.',
      },
      sign_in_refused: {
        title: 'Microsoft did not let you in',
        what: 'The sign-in ended with an error.',
        cure: 'Start again with a work account of your organization. If it happens again, send the code below to the person who sent you the link.',
      },
      sign_in_invalid: {
        title: 'The sign-in could not be confirmed',
        what: 'The answer of Microsoft about your sign-in could not be verified.',
        cure: 'Start again. If it happens again, tell the person who sent you the link, with the code below if there is one.',
      },
      personal_account: {
        title: 'This is a personal account',
        what: 'You signed in with a personal Microsoft account, which belongs to no organization.',
        cure: 'Start again with the work account of an administrator of your organization.',
      },
      not_administrator: {
        title: 'You are not an administrator of this tenant',
        what: 'The account that you signed in with is neither a Privileged Role Administrator nor a Global Administrator.',
        cure: 'Start again with such an account. A role that you can activate has to be active first. If another role of yours can give consent, ask the person who sent you the link for one that names your tenant.',
      },
      tenant_forged: {
        title: 'The consent is for another tenant',
        what: 'The answer names another tenant than the one that you signed in to.',
        cure: 'Start again, and give consent with the same account that you sign in with.',
      },
      other_tenant: {
        title: 'This invitation is for another tenant',
        what: 'This invitation is not for the tenant that you signed in to.',
        cure: 'Start again with an account of the right tenant. To connect this one too, ask the person who sent you the link for a new one.',
      },
      other_customer: {
        title: 'This tenant belongs to another customer',
        what: 'The tenant that you signed in to is already connected for another customer.',
        cure: 'Sign in to the right tenant, or ask the person who sent you the link to check this.',
      },
      unassigned: {
        title: 'This tenant is connected already',
        what: 'The tenant that you signed in to is connected, but not yet assigned to a customer.',
        cure: 'Ask the person who sent you the link to assign it (`entra-sync tenant rename TENANT --ref CUSTOMER`).',
      },
      microsoft_unavailable: {
        title: 'Microsoft cannot be reached',
        what: 'The sign-in service of Microsoft did not answer.',
        cure: 'Start again in a few minutes.',
      },
      unavailable: {
        title: 'Something is not available',
        what: 'A part of this service did not answer.',
        cure: 'Start again in a few minutes.',
      },
      defect: {
        title: 'Something went wrong here',
        what: 'This page had an internal error, which has been logged.',
        cure: 'Start again. If it happens again, tell the person who sent you the link when it happened.',
      },
    },
  },
};
