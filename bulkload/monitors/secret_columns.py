"""Recognise columns that hold passwords and other secrets by their names.

In: the name of a column. Out: whether its cells are secret: they are not sent, stored, shown or written to results.
"""

from __future__ import annotations

import re

from bulkload.monitors.result_columns import normalise

_WORDS = (
    "password|passwd|passphrase|passcode|passwort|kennwort|passwörter|kennwörter|motsdepasse|motdepasse|contraseñas?"
    "|contrasenas?|passwords"
)
_WHOLE = (  # too short or too general to be a part of another name; "key" and "clave" alone may be any key
    "pass|pwd|pw|psw|mdp|secrets?|token|credentials?|geheimnis|geheimwort|zugangsdaten|anmeldedaten|secreto|jeton"
    "|cléapi|cleapi|clésecrète|clesecrete|clavesecreta|clavedeacceso|claveapi|credenciales|identifiantsdeconnexion"
)
_ENDINGS = "pwd|secret|apikey|accesskey|secretkey|privatekey|apitoken|accesstoken|authtoken|apischlüssel|apischluessel"
_ADDITIONS = "imap|pop3?|smtp|mail|email|mailbox|postfach|hash|old|new|alt|neu"
_SECRET = re.compile(rf"{_WHOLE}|.*(?:{_WORDS}|{_ENDINGS})[0-9]*|(?:{_WORDS})(?:{_ADDITIONS})")


def is_secret(column: str) -> bool:
    """True if the name of a column says that its cells are passwords or other secrets."""
    return _SECRET.fullmatch(normalise(column)) is not None
