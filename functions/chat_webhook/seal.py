"""A mark on every button, for CHAT_AUTH=endpoint, where a click may come from anyone's app: it proves that we made it.

Why, and what a mark does not prove: docs/decisions/2026-11-28-chat-endpoint.md. Where the key is: `seal_key`.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping

NAME = "seal"  # of the parameter that holds the mark


class Seal:
    """Marks the buttons of one space. Reads the key when the first button needs it."""

    def __init__(self, key: Callable[[], bytes], space: str) -> None:
        self._key = key
        self._space = space

    def of(self, parameters: Mapping[str, str]) -> str:
        """Return the mark of a button with these parameters. Raises StoreUnavailable."""
        # Names that begin so are Chat's own: it adds them to a click.
        ours = {name: value for name, value in parameters.items() if name != NAME and not name.startswith("__")}
        signed = json.dumps([self._space, ours], sort_keys=True).encode()
        return hmac.digest(self._key(), signed, hashlib.sha256).hex()

    def holds(self, parameters: Mapping[str, str]) -> bool:
        """Return whether a click carries the mark of its button and parameters. Raises StoreUnavailable."""
        given = parameters.get(NAME, "")
        return bool(given) and hmac.compare_digest(given.encode(), self.of(parameters).encode())
