// Die deutschen Texte der Anmeldung, der Absagen und Formulare.
import type { WebLanguage } from '../web-language.ts';

export const language: WebLanguage = {
  tag: 'de',
  direction: 'ltr',
  texts: {
    buttons: {
      signIn: 'Anmelden',
      again: 'Erneut anmelden',
      other: 'Anderes Konto verwenden',
      allow: 'Ich bin Administrator: erlauben',
    },
    signedOut: {
      title: 'Abgemeldet',
      what: 'Sie sind hier abgemeldet. Ihr Microsoft-Konto kann in diesem Browser weiter angemeldet sein.',
    },
    ended: {
      title: 'Ihre Sitzung ist beendet',
      what: 'Es wurde nichts gespeichert. Melden Sie sich erneut an: {kept}',
      kept: 'das Formular erscheint wieder, wie Sie es ausgefüllt haben, und wird erst gesendet, wenn Sie noch einmal darauf klicken.',
      lost: 'Lassen Sie diese Seite offen, tun Sie es in einem neuen Fenster und gehen Sie dann hier zum Formular zurück. Es ist so, wie Sie es ausgefüllt haben, und wird erst gesendet, wenn Sie seinen Knopf noch einmal drücken.',
    },
    held: {
      what: 'Nichts, was Sie eingegeben haben, ist verloren. Der Knopf zeigt das Formular wieder, wie Sie es ausgefüllt haben, und sendet nichts.',
      typed: 'Was Sie eingegeben haben',
      back: 'Zurück zum Formular',
    },
    stillIn: {
      title: 'Sie sind noch angemeldet',
      late: 'Die Datenbank hat Ihre Sitzung nicht innerhalb von {seconds} s beendet, und es wurde nichts geändert.',
      earlier: 'Die Seite gehört zu einer früheren Sitzung von Ihnen.',
      signOut: 'Abmelden',
    },
    refusals: {
      tenant_unknown: {
        title: 'Ihre Organisation ist nicht verbunden',
        what: 'Sie haben sich mit einem Konto einer Organisation angemeldet, die hier nicht verbunden ist.',
        cure: 'Verwenden Sie das Konto Ihrer Arbeit. War es dieses, muss Ihr Administrator die Organisation erst verbinden.',
      },
      personal: {
        title: 'Ein persönliches Konto',
        what: 'Sie haben sich mit einem persönlichen Microsoft-Konto angemeldet.',
        cure: 'Verwenden Sie das Konto Ihrer Arbeit oder Schule.',
      },
      guest: {
        title: 'Gast dieser Organisation',
        what: 'Sie haben sich als Gast angemeldet: Ihr Konto ist anderswo zu Hause.',
        cure: 'Melden Sie sich mit einem Konto der Organisation selbst an.',
      },
      suspended: {
        title: 'Ihr Konto ist deaktiviert',
        what: 'Ihre Organisation hat Ihr Konto deaktiviert.',
        cure: 'Fragen Sie deren Administrator.',
      },
      removed: {
        title: 'Ihr Konto ist entfernt',
        what: 'Ihr Konto wurde entfernt oder gehört nicht mehr zu denen, die übernommen werden.',
        cure: 'Fragen Sie Ihren Administrator, falls das ein Irrtum ist.',
      },
      no_account: {
        title: 'Es gibt kein Konto von Ihnen',
        what: 'Ihre Organisation ist verbunden, aber Sie gehören nicht zu den Personen, die übernommen werden.',
        cure: 'Ein neues Konto erscheint nach einer Weile. Fragen Sie sonst Ihren Administrator.',
      },
      nothing_here: {
        title: 'Hier ist nichts für Sie',
        what: 'Sie sind richtig angemeldet, aber keine Seite hier ist für Ihre Rolle.',
        cure: 'Hier arbeiten Administratoren Ihrer Organisation und Mitarbeiter des Anbieters.',
      },
      consent_wanted: {
        title: 'Ihr Administrator muss dies erst erlauben',
        what: 'In Ihrer Organisation darf nur ein Administrator eine neue Anwendung erlauben. Sie erfährt, wer Sie sind, wenn Sie sich anmelden, und nichts anderes.',
        cure: 'Schicken Sie diese Adresse Ihrem Administrator, und melden Sie sich erneut an, sobald es erlaubt ist:',
      },
      cancelled: {
        title: 'Sie haben sich nicht angemeldet',
        what: 'Die Anmeldung wurde abgebrochen, oder Ihre Organisation erlaubt diese Anwendung nicht.',
        cure: 'Melden Sie sich erneut an, oder fragen Sie Ihren Administrator.',
      },
      stale: {
        title: 'Diese Anmeldung ist veraltet',
        what: 'Sie wurde vor zu langer Zeit oder in einem anderen Browser begonnen oder schon verwendet.',
        cure: 'Beginnen Sie von vorn.',
      },
      failed: {
        title: 'Die Anmeldung ist fehlgeschlagen',
        what: 'Der Antwort von Microsoft ist nicht zu trauen, oder sie wurde abgelehnt.',
        cure: 'Beginnen Sie von vorn. Schlägt es wieder fehl, nennen Sie dem Betreiber die Kennung.',
      },
      unavailable: {
        title: 'Microsoft antwortet nicht',
        what: 'Die Anmeldung konnte nicht abgeschlossen werden.',
        cure: 'Versuchen Sie es gleich noch einmal.',
      },
    },
    reference: 'Kennung',
    tellings: {
      notFound: {
        title: 'Nicht gefunden',
        what: 'Unter dieser Adresse gibt es nichts, oder nichts, was Sie sehen dürfen.',
        start: 'Zum Anfang',
      },
      tooSlow: {
        title: 'Das dauert zu lange',
        what: 'Die Datenbank hat nicht innerhalb von 3 Sekunden geantwortet.',
        again: 'Erneut versuchen',
      },
      notFromHere: {
        title: 'Nicht von dieser Seite gesendet',
        what: 'Es wurde nichts geändert. Laden Sie die Seite neu, und senden Sie das Formular von dort.',
      },
      notUnderstood: {
        title: 'Nicht verstanden',
        what: 'Es wurde nichts geändert.',
      },
      tooLarge: {
        title: 'Zu viel auf einmal',
        what: 'Das Formular ist größer als die 64 KiB, die ein Formular haben darf. Es wurde nichts geändert. Der Zurück-Knopf Ihres Browsers zeigt, was Sie eingegeben haben.',
      },
      notNow: {
        title: 'Gerade nicht',
        what: 'Die Datenbank antwortet nicht, wie sie soll.',
        again: 'Versuchen Sie es gleich noch einmal.',
        byItself: 'Diese Seite versucht es alle {seconds} Sekunden wieder.',
        form: 'Sehen Sie zuerst nach, ob Ihr Formular gespeichert wurde.',
      },
      defect: {
        title: 'Ein Fehler in diesem Programm',
        what: 'Das Protokoll sagt, wo er liegt, unter der Kennung {reference}.',
      },
    },
    frame: {
      skip: 'Zum Inhalt',
      signedOut: { title: 'Abgemeldet', what: 'Laden Sie die Seite neu, um sich anzumelden.' },
      often: { title: 'Zu viele Anfragen', what: 'Versuchen Sie es in einer Minute wieder.' },
    },
    forms: {
      character: 'Ein Wert enthält ein Zeichen, das kein Text hat: das mit der Nummer 0.',
      notWhole: 'Das Formular wurde nicht ganz gesendet. Laden Sie die Seite neu.',
      tooLong: 'Hier passen höchstens {max} Zeichen.',
      sessionEnded: 'Ihre Sitzung war beendet. Sehen Sie an, was Sie geschrieben haben, und senden Sie es noch einmal.',
      back: 'Es ist noch nichts gesendet. Sehen Sie an, was Sie geschrieben haben, und senden Sie es noch einmal.',
      busy: 'Es konnte gerade nicht gespeichert werden, weil ein anderer Vorgang die Daten hält. Senden Sie es gleich noch einmal.',
    },
  },
};
