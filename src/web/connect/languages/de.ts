// The consent page in German.
import type { Language } from '../language.ts';
import { properties } from '../properties/de.ts';

export const language: Language = {
  tag: 'de',
  direction: 'ltr',
  properties,
  texts: {
    steps: {
      label: 'Schritte',
      signIn: 'Anmelden',
      consent: 'Zustimmen',
      connected: 'Verbunden',
      confirmation: 'Bestätigung',
    },
    buttons: {
      signIn: 'Mit Microsoft anmelden',
      consent: 'Weiter zur Zustimmung',
      check: 'Erneut prüfen',
      consentAgain: 'Erneut zustimmen',
      startAgain: 'Neu beginnen',
      reload: 'Aktuelle Zahl anzeigen',
      back: 'Zurück zu {product}',
      allow: 'Anmeldung erlauben',
    },
    footer: {
      promise: '{product} liest Ihr Verzeichnis und schreibt nie hinein.',
      contact: 'Kontakt',
      privacy: 'Datenschutz',
      terms: 'Nutzungsbedingungen',
    },
    revoke: {
      title: 'So widerrufen Sie',
      how: 'Öffnen Sie das **Microsoft Entra Admin Center**, dann *Unternehmensanwendungen*, und wählen Sie die Anwendung von {product}. *Berechtigungen* zeigt, was Sie erlaubt haben. *Eigenschaften*, *Löschen* nimmt es zurück.',
      after:
        'Danach wird nichts mehr gelesen. In {product} wird kein Konto entfernt: Jedes behält seine letzten Werte und kann bearbeitet werden.',
    },
    welcome: {
      title: 'Microsoft Entra ID verbinden',
      heading: 'Verbinden Sie Ihr Microsoft Entra ID mit {product}',
      lead: 'Diese Einladung ist für **{customer}**. Sie melden sich an und stimmen zu. {product} kann dann Ihre Benutzer und Gruppen lesen. Das dauert etwa zwei Minuten.',
      roles:
        'Sie brauchen die Rolle **Administrator für privilegierte Rollen** oder **Globaler Administrator**. Keine andere integrierte Rolle kann hier zustimmen.',
      validUntil: 'Dieser Link gilt bis {time}.',
      readTitle: 'Was gelesen wird',
      users: 'Die Profile Ihrer Benutzer: {properties}.',
      groups: 'Ihre Gruppen: Name, Beschreibung, Adresse und Mitglieder.',
      notRead: 'Es wird kein Postfach, keine Datei, kein Kalender, kein Kennwort und kein Anmeldeprotokoll gelesen.',
      keptTitle: 'Was gespeichert wird',
      kept: 'Eine Kopie dieser Werte. Sie wird etwa alle {interval} erneuert.',
      removed:
        'Ein Benutzer, der aus Ihrem Verzeichnis entfernt wird, ist nach der nächsten Erneuerung nicht mehr zu sehen. Die Kopie kann noch {retention} lang wiederhergestellt werden. Danach wird sie gelöscht.',
      writtenTitle: 'Was geschrieben wird',
      written: '**Nichts.** {product} liest nur. Mit einer Berechtigung zum Schreiben arbeitet es nicht.',
      askingTitle: 'Wer fragt',
      asking: 'Der Hersteller von {product}. Diese Seite liegt unter `{host}`.',
    },
    offer: {
      title: 'Zustimmen',
      heading: 'Stimmen Sie für {tenant} zu',
      yourTenant: 'Ihren Mandanten',
      signedIn: 'Angemeldet bei',
      tenantId: 'Mandant `{id}`',
      connectTo: 'Wird verbunden mit',
      customer: '{customer} bei {product}',
      next: 'Auf der nächsten Seite bittet Microsoft Sie um zwei Berechtigungen: `User.Read.All` und `GroupMember.Read.All`. Beide lesen nur. Wählen Sie *Akzeptieren*, dann kommen Sie hierher zurück.',
      confirms:
        'Nach Ihrer Zustimmung bestätigt {product}, dass dieser Mandant zu {customer} gehört. Vorher wird nichts gelesen.',
    },
    connected: {
      title: 'Verbunden',
      mark: 'Fertig',
      heading: '{tenant} ist verbunden',
      yourTenant: 'Ihr Mandant',
      customer: 'Die Benutzer und Gruppen werden nun für {customer} gelesen. Sie können diese Seite schließen.',
      due: 'Das erste Lesen ist sofort fällig. Ein großes Verzeichnis braucht einige Minuten.',
      people: 'Bisher gelesene Personen: **{count}**',
    },
    next: {
      title: 'Wie es weitergeht',
      allow:
        'Ihre Leute melden sich bei {product} mit einer eigenen Anwendung an, die nichts liest. Erlauben Sie sie einmal für alle, sonst wird jeder gefragt:',
      console: 'Als Administrator sehen Sie, was gelesen wurde, und entscheiden, was auf eine Person wartet: {address}',
      people: 'Ihre Leute haben eine eigene Seite: {address}. Ein Text, den Sie ihnen schicken können:',
      letter:
        'Unter {address} finden Sie die Angaben, die {product} von Ihnen zeigt, und können einige davon ändern. Melden Sie sich mit Ihrem Arbeitskonto an.',
    },
    lacking: {
      title: 'Gruppen werden nicht gelesen.',
      what: '{roles} wurde nicht erlaubt. Benutzer werden trotzdem gelesen. {product} muss um diese Berechtigung bitten, bevor Sie ihr zustimmen können.',
    },
    waiting: {
      title: 'Wartet auf Bestätigung',
      mark: 'Ihr Teil ist getan',
      heading: '{product} bestätigt nun {tenant}',
      yourTenant: 'Ihren Mandanten',
      what: 'Ihre Zustimmung wirkt. Eine Person bei {product} bestätigt nun, dass dieser Mandant zu {customer} gehört. Vorher wird nichts gelesen. Sie müssen nichts mehr tun und können diese Seite schließen.',
      tenant: 'Mandant',
      until: 'Wartet bis',
      longer: 'Dauert es länger als erwartet, wenden Sie sich an die Person, die Ihnen den Link geschickt hat.',
      support: 'Für die Person, die Ihnen den Link geschickt hat',
    },
    notYet: {
      title: 'Noch nicht verbunden',
      heading: 'Die Zustimmung wirkt noch nicht',
      nothing: 'Es wurde nichts eingetragen.',
      ended:
        'Mit dieser Anmeldung kann nicht mehr geprüft werden. Beginnen Sie neu und melden Sie sich noch einmal an. Ihre Zustimmung bleibt.',
      wait: 'Bei Microsoft kann es einige Minuten dauern, bis eine Zustimmung wirkt. Warten Sie kurz und prüfen Sie dann erneut. Ändert sich nichts, stimmen Sie erneut zu, als Administrator für privilegierte Rollen oder Globaler Administrator.',
      notAsked:
        'Vielleicht bittet die Anwendung noch nicht um diese Berechtigung. Wenden Sie sich dann an die Person, die Ihnen den Link geschickt hat.',
      notKnown: 'Microsoft kennt Ihre Zustimmung noch nicht.',
      permissionMissing: 'Eine Berechtigung fehlt.',
      tooMuch: 'Die Anwendung hat eine Berechtigung, die {product} nicht haben darf.',
      tooMuchCure:
        'Sagen Sie der Person, die Ihnen den Link geschickt hat, dass die Anwendung um weniger bitten muss. Stimmen Sie danach erneut zu.',
      unavailable: 'Der Anmeldedienst von Microsoft hat nicht geantwortet.',
      unavailableCure: 'Prüfen Sie in einigen Minuten erneut.',
      other: 'Microsoft hat keinen Zugang gegeben.',
      otherCure:
        'Schicken Sie die Meldung unten der Person, die Ihnen den Link geschickt hat. Prüfen Sie danach erneut.',
      message: 'Meldung',
    },
    refused: {
      mark: 'Es wurde nichts verbunden',
      code: 'Microsoft meldet:',
      link: 'Schicken Sie diesen Link an Ihren Administrator:',
    },
    refusals: {
      no_invitation: {
        title: 'Sie brauchen eine Einladung',
        what: 'Diese Seite öffnet sich nur mit einem persönlichen Link, und die Adresse enthält keinen gültigen.',
        cure: 'Prüfen Sie, ob Sie den ganzen Link kopiert haben, oder bitten Sie die Person, die ihn geschickt hat, um einen neuen.',
      },
      invitation_expired: {
        title: 'Diese Einladung ist abgelaufen',
        what: 'Eine Einladung gilt nur für eine begrenzte Zeit.',
        cure: 'Bitten Sie die Person, die Ihnen den Link geschickt hat, um einen neuen.',
      },
      invitation_withdrawn: {
        title: 'Diese Einladung wurde zurückgezogen',
        what: 'Die Einladung gilt nicht mehr.',
        cure: 'Bitten Sie die Person, die Ihnen den Link geschickt hat, um einen neuen.',
      },
      cross_site: {
        title: 'Diese Anfrage kam von einer anderen Seite',
        what: 'Die Schaltfläche, die Sie gedrückt haben, gehört nicht zu dieser Website.',
        cure: 'Beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      cookie_missing: {
        title: 'Ihr Browser hat kein Cookie gesendet',
        what: 'Das Cookie, das die Anmeldung mit diesem Browser verbindet, kam nicht zurück.',
        cure: 'Erlauben Sie Cookies für diese Website, bleiben Sie in einem Browserfenster, und beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      state_invalid: {
        title: 'Diese Antwort gehört zu keiner Anmeldung dieser Website',
        what: 'Die Adresse, die hierher geführt hat, gehört zu keiner Anmeldung, die hier begonnen hat.',
        cure: 'Beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      state_expired: {
        title: 'Das hat zu lange gedauert',
        what: 'Sie haben 15 Minuten für die Anmeldung und danach 30 Minuten. Diese Zeit ist um.',
        cure: 'Beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      state_used: {
        title: 'Dieser Schritt ist schon getan',
        what: 'Jeder Schritt gilt einmal, in dem Browser, der ihn begonnen hat. Dieser wurde schon benutzt oder gehört zu einem anderen Browser.',
        cure: 'Wenn Sie gesehen haben, dass Ihr Mandant verbunden ist oder Ihre Zustimmung auf Bestätigung wartet, ist alles gut. Wenn nicht, beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      declined: {
        title: 'Es wurde nicht zugestimmt',
        what: 'Sie haben abgebrochen. Es hat sich also nichts geändert.',
        cure: 'Beginnen Sie neu, wenn Sie Ihren Mandanten verbinden möchten.',
      },
      not_allowed: {
        title: 'Ihr Konto darf hier nicht zustimmen',
        what: 'Nur ein Administrator für privilegierte Rollen oder ein Globaler Administrator kann für die ganze Organisation zustimmen.',
        cure: 'Bitten Sie Ihren Administrator, die Einladung zu öffnen. Haben Sie selbst eine solche Rolle, aktivieren Sie sie und beginnen Sie neu.',
      },
      consent_refused: {
        title: 'Microsoft hat die Zustimmung nicht angenommen',
        what: 'Microsoft hat auf die Zustimmung mit einem Fehler geantwortet.',
        cure: 'Beginnen Sie neu, als Administrator für privilegierte Rollen oder Globaler Administrator. Geschieht es wieder, schicken Sie den Code unten der Person, die Ihnen den Link geschickt hat.',
      },
      consent_unconfirmed: {
        title: 'Die Zustimmung wurde nicht bestätigt',
        what: 'Microsoft hat Sie zurückgeschickt, ohne zu sagen, dass zugestimmt wurde.',
        cure: 'Beginnen Sie neu mit dem Link, den Sie erhalten haben.',
      },
      sign_in_refused: {
        title: 'Microsoft hat Sie nicht eingelassen',
        what: 'Die Anmeldung endete mit einem Fehler.',
        cure: 'Beginnen Sie neu mit einem Geschäftskonto Ihrer Organisation. Geschieht es wieder, schicken Sie den Code unten der Person, die Ihnen den Link geschickt hat.',
      },
      sign_in_invalid: {
        title: 'Die Anmeldung konnte nicht bestätigt werden',
        what: 'Die Antwort von Microsoft über Ihre Anmeldung ließ sich nicht prüfen.',
        cure: 'Beginnen Sie neu. Geschieht es wieder, wenden Sie sich an die Person, die Ihnen den Link geschickt hat, und nennen Sie den Code unten, falls dort einer steht.',
      },
      personal_account: {
        title: 'Das ist ein persönliches Konto',
        what: 'Sie haben sich mit einem persönlichen Microsoft-Konto angemeldet, das zu keiner Organisation gehört.',
        cure: 'Beginnen Sie neu mit dem Geschäftskonto eines Administrators Ihrer Organisation.',
      },
      not_administrator: {
        title: 'Sie sind kein Administrator dieses Mandanten',
        what: 'Das Konto, mit dem Sie sich angemeldet haben, ist weder Administrator für privilegierte Rollen noch Globaler Administrator.',
        cure: 'Beginnen Sie neu mit einem solchen Konto. Eine Rolle, die Sie aktivieren können, muss zuerst aktiv sein. Kann eine andere Rolle von Ihnen zustimmen, bitten Sie die Person, die Ihnen den Link geschickt hat, um einen, der Ihren Mandanten nennt.',
      },
      tenant_forged: {
        title: 'Die Zustimmung gilt für einen anderen Mandanten',
        what: 'Die Antwort nennt einen anderen Mandanten als den, bei dem Sie sich angemeldet haben.',
        cure: 'Beginnen Sie neu, und stimmen Sie mit demselben Konto zu, mit dem Sie sich anmelden.',
      },
      other_tenant: {
        title: 'Diese Einladung gilt für einen anderen Mandanten',
        what: 'Diese Einladung gilt nicht für den Mandanten, bei dem Sie sich angemeldet haben.',
        cure: 'Beginnen Sie neu mit einem Konto des richtigen Mandanten. Um auch diesen zu verbinden, bitten Sie die Person, die Ihnen den Link geschickt hat, um einen neuen.',
      },
      other_customer: {
        title: 'Dieser Mandant gehört zu einem anderen Kunden',
        what: 'Der Mandant, bei dem Sie sich angemeldet haben, ist schon für einen anderen Kunden verbunden.',
        cure: 'Melden Sie sich beim richtigen Mandanten an, oder bitten Sie die Person, die Ihnen den Link geschickt hat, dies zu prüfen.',
      },
      unassigned: {
        title: 'Dieser Mandant ist schon verbunden',
        what: 'Der Mandant, bei dem Sie sich angemeldet haben, ist verbunden, aber noch keinem Kunden zugeordnet.',
        cure: 'Bitten Sie die Person, die Ihnen den Link geschickt hat, ihn zuzuordnen (`entra-sync tenant rename TENANT --ref CUSTOMER`).',
      },
      microsoft_unavailable: {
        title: 'Microsoft ist nicht erreichbar',
        what: 'Der Anmeldedienst von Microsoft hat nicht geantwortet.',
        cure: 'Beginnen Sie in einigen Minuten neu.',
      },
      unavailable: {
        title: 'Etwas ist nicht verfügbar',
        what: 'Ein Teil dieses Dienstes hat nicht geantwortet.',
        cure: 'Beginnen Sie in einigen Minuten neu.',
      },
      defect: {
        title: 'Hier ist etwas schiefgegangen',
        what: 'Auf dieser Seite gab es einen internen Fehler. Er wurde aufgezeichnet.',
        cure: 'Beginnen Sie neu. Geschieht es wieder, sagen Sie der Person, die Ihnen den Link geschickt hat, wann es war.',
      },
    },
  },
};
