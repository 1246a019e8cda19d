// The English texts of sign-in, refusals and forms. Each other language has the same keys, in a file beside this one.

export const language = {
  tag: 'en',
  direction: 'ltr',
  texts: {
    buttons: {
      signIn: 'Sign in',
      again: 'Sign in again',
      other: 'Use another account',
      allow: 'I am an administrator: allow it',
    },
    signedOut: {
      title: 'Signed out',
      what: 'You are signed out here. Your Microsoft account may still be signed in in this browser.',
    },
    ended: {
      title: 'Your session has ended',
      what: 'Nothing was saved. Sign in again: {kept}',
      kept: 'the form comes back as you filled it, and is sent only when you press its button once more.',
      // The form is too large for the browser to keep.
      lost: 'leave this page open, do it in a new window, and then go back to the form here. It is as you filled it, and is sent only when you press its button once more.',
    },
    held: {
      what: 'Nothing that you typed is lost. The button shows the form again as you filled it, and sends nothing.',
      typed: 'What you typed',
      back: 'Back to the form',
    },
    stillIn: {
      title: 'You are still signed in',
      late: 'The database did not end your session within {seconds} s, and nothing was changed.',
      earlier: 'The page belongs to an earlier session of yours.',
      signOut: 'Sign out',
    },
    refusals: {
      tenant_unknown: {
        title: 'Your organization is not connected',
        what: 'You signed in with an account of an organization that is not connected here.',
        cure: 'Use the account of your work. If that was it, your administrator has to connect the organization first.',
      },
      personal: {
        title: 'A personal account',
        what: 'You signed in with a personal Microsoft account.',
        cure: 'Use the account of your work or school.',
      },
      guest: {
        title: 'A guest of this organization',
        what: 'You signed in as a guest: the home of your account is elsewhere.',
        cure: 'Sign in with an account of the organization itself.',
      },
      suspended: {
        title: 'Your account is disabled',
        what: 'Your organization has disabled your account.',
        cure: 'Ask its administrator.',
      },
      removed: {
        title: 'Your account is removed',
        what: 'Your account has been removed, or is no longer among those who are copied.',
        cure: 'Ask your administrator if that is a mistake.',
      },
      no_account: {
        title: 'There is no account of yours',
        what: 'Your organization is connected, but you are not among the people who are copied.',
        cure: 'A new account shows after a while. Otherwise ask your administrator.',
      },
      nothing_here: {
        title: 'Nothing here for you',
        what: 'You are who you say, but no page here is for your role.',
        cure: 'Administrators of your organization and the vendor’s people work here.',
      },
      consent_wanted: {
        title: 'Your administrator has to allow this first',
        what: 'Your organization lets only an administrator allow a new application. When you sign in it learns who you are, and nothing else.',
        cure: 'Send this address to your administrator, and sign in again once it is allowed:',
      },
      cancelled: {
        title: 'You did not sign in',
        what: 'The sign-in was cancelled, or your organization does not allow this application.',
        cure: 'Sign in again, or ask your administrator.',
      },
      stale: {
        title: 'This sign-in is out of date',
        what: 'It was begun too long ago, in another browser, or was used before.',
        cure: 'Begin anew.',
      },
      failed: {
        title: 'The sign-in failed',
        what: 'Microsoft’s answer cannot be trusted, or was refused.',
        cure: 'Begin anew. If it fails again, tell the operator the reference.',
      },
      unavailable: {
        title: 'Microsoft does not answer',
        what: 'The sign-in could not be finished.',
        cure: 'Try again in a moment.',
      },
    },
    reference: 'Reference',
    tellings: {
      notFound: {
        title: 'Not found',
        what: 'There is nothing at this address, or nothing that you may see.',
        start: 'To the start',
      },
      tooSlow: {
        title: 'This takes too long',
        what: 'The database did not answer within 3 seconds.',
        again: 'Try again',
      },
      notFromHere: {
        title: 'Not sent from this page',
        what: 'Nothing was changed. Load the page again, and send the form from there.',
      },
      notUnderstood: {
        title: 'Not understood',
        what: 'Nothing was changed.',
      },
      tooLarge: {
        title: 'Too much at once',
        what: 'The form is larger than the 64 KiB that a form may have. Nothing was changed. The way back of your browser shows what you typed.',
      },
      notNow: {
        title: 'Not now',
        what: 'The database does not answer as it should.',
        again: 'Try again in a moment.',
        byItself: 'This page tries again every {seconds} seconds.',
        form: 'Look first whether your form was saved.',
      },
      defect: {
        title: 'A defect',
        what: 'The log says where it is, under the reference {reference}.',
      },
    },
    frame: {
      skip: 'To the content',
      signedOut: { title: 'Signed out', what: 'Load the page again to sign in.' },
      often: { title: 'Too many requests', what: 'Try again in a minute.' },
    },
    forms: {
      character: 'A value contains a character that no text has: the one with the number 0.',
      notWhole: 'The form was not sent whole. Load the page again.',
      tooLong: 'At most {max} characters fit here.',
      sessionEnded: 'Your session had ended. Look at what you typed, and send it again.',
      back: 'Nothing is sent yet. Look at what you typed, and send it again.',
      busy: 'It could not be saved just now, because something else holds the data. Send it again in a moment.',
    },
  },
} as const;
