"""Keep the AlertSite credentials that users type, in memory only.

In: the nonce of a session, and an account. Out: the account, until it is forgotten, replaced by newer sessions, or the
server stops. Nothing is written anywhere.
"""

from __future__ import annotations

from collections import OrderedDict

from bulkload.settings import Account

MAX_SESSIONS = 100  # with credentials; the one that was not used for the longest time is dropped


class Credentials:
    """The accounts of the sessions, by nonce."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, Account] = OrderedDict()

    def get(self, nonce: str) -> Account | None:
        """The account of a session; None if it has typed none."""
        account = self._accounts.get(nonce)
        if account is not None:
            self._accounts.move_to_end(nonce)
        return account

    def set(self, nonce: str, account: Account) -> None:
        """Keep the account of a session."""
        self._accounts[nonce] = account
        self._accounts.move_to_end(nonce)
        while len(self._accounts) > MAX_SESSIONS:
            self._accounts.popitem(last=False)

    def forget(self, nonce: str) -> None:
        """Forget the account of a session."""
        self._accounts.pop(nonce, None)
