"""What can go wrong, named for what happened. A docstring is the default message; HTTP codes belong to `endpoint`."""

from collections.abc import Mapping
from typing import Any


class WatchkeeperError(Exception):
    """Something went wrong in Watchkeeper."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.__doc__ or "")


class InvalidInput(WatchkeeperError):
    """The input cannot be used; the message names it and the remedy."""


class TooLarge(InvalidInput):
    """The request is too large for this function."""


class WrongMediaType(InvalidInput):
    """The request is not JSON; send it as application/json."""


class InvalidSettings(WatchkeeperError):
    """A setting is missing or malformed; the message names every such setting, `names` gives their names alone."""

    def __init__(self, message: str = "", names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class RenewalFailed(WatchkeeperError):
    """Not every subscription could be renewed; `answer` holds what was renewed and what was not, field by field."""

    def __init__(self, message: str, answer: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.answer = answer


class StoreUnavailable(WatchkeeperError):
    """The job store could not be read or written."""


class NotBegun(WatchkeeperError):
    """The call had to end before it began what was asked for; call again."""


class Unauthorized(WatchkeeperError):
    """The caller did not prove who it is."""


class Forbidden(WatchkeeperError):
    """The caller is known and may not do this."""


class CertificatesUnavailable(WatchkeeperError):
    """The certificates to check a token with could not be fetched."""
