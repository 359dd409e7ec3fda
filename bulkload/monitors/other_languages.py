"""German, French and Spanish words for the columns and for yes and no.

In: nothing. Out: `HEADERS` (field → headers) and `SWITCHES` (word → bool). Each word has exactly one meaning; a word
that can name two fields ("status", "Adresse") is left out, because nothing is guessed. An accent may be missing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

HEADERS: Mapping[str, tuple[str, ...]] = {
    "type": ("Typ", "Protokoll", "Dienst", "protocole", "tipo", "protocolo", "servicio"),
    "name": ("Bezeichnung", "Anzeigename", "nom", "nombre"),
    "hostname": (
        *("Rechner", "Rechnername", "Servername", "Serveradresse", "Mailserver", "Hostadresse"),
        *("serveur", "nom du serveur", "hôte", "nom d'hôte", "adresse du serveur"),
        *("servidor", "nombre del servidor", "servidor de correo", "nombre de host"),
    ),
    "port": ("Portnummer", "TCP-Port", "numéro de port", "puerto", "número de puerto"),
    "billing_plancode": ("Abrechnungsplan", "plan de facturation", "plan de facturación"),
    "interval": (
        *("Intervall", "Prüfintervall", "Intervall (Minuten)", "Intervall in Minuten", "Intervall (Min)"),
        *("intervalle", "intervalle de contrôle", "intervalle (minutes)", "intervalle en minutes"),
        *("intervalo", "intervalo de comprobación", "intervalo (minutos)", "intervalo en minutos"),
    ),
    "timeout": (
        *("Zeitlimit", "Zeitüberschreitung", "Zeitlimit (Sekunden)", "Zeitlimit in Sekunden", "Zeitlimit (s)"),
        *("délai", "délai d'attente", "délai (secondes)", "délai en secondes", "délai (s)"),
        *("tiempo de espera", "tiempo límite", "tiempo de espera (segundos)", "tiempo de espera en segundos"),
    ),
    "enabled": ("aktiv", "aktiviert", "actif", "activé", "activo", "activado", "habilitado"),
    "notify_on_error": ("Benachrichtigung", "benachrichtigen", "notifier", "notificar"),
    "mode": ("Modus", "modo"),
    "locations": ("Standort", "Standorte", "emplacement", "emplacements", "ubicación", "ubicaciones"),
    "ipv4": ("IP-Adresse", "IPv4-Adresse", "adresse IP", "adresse IPv4", "dirección IP", "dirección IPv4"),
    "email": ("E-Mail-Adresse", "Postfach", "adresse e-mail", "correo electrónico"),
    "alert_note": ("Alarmtext", "texte d'alerte", "texto de alerta"),
    "note": ("Notiz", "Bemerkung", "Anmerkung", "Bemerkungen", "remarque", "remarques", "nota", "notas", "observación"),
}
_YES = (
    *("ja", "wahr", "ein", "aktiv", "aktiviert"),
    *("oui", "vrai", "actif", "active", "activé"),
    *("sí", "verdadero", "activo", "activado", "habilitado"),
)
_NO = (
    *("nein", "falsch", "aus", "inaktiv", "deaktiviert"),
    *("non", "faux", "inactif", "inactive", "désactivé"),
    *("falso", "inactivo", "desactivado", "deshabilitado"),  # no is English as well
)


def spellings(word: str) -> Iterator[str]:
    """Yield a word in its usual spellings: as it is, without accents, and with ae for ä."""
    yield word
    if "'" in word:
        yield from spellings(word.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"))
    if word.isascii():
        return
    yield "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c))
    umlauts = {"ä": "ae", "ö": "oe", "ü": "ue"}
    if umlauts.keys() & set(word.casefold()):
        yield "".join(umlauts.get(c, c) for c in word.casefold())


def _switches() -> dict[str, bool]:
    return {
        spelling: value for words, value in ((_YES, True), (_NO, False)) for w in words for spelling in spellings(w)
    }


SWITCHES: Mapping[str, bool] = _switches()  # in lower case
PUBLISHED_SWITCHES = (_YES, _NO)  # for the template
