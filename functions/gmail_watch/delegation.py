"""Tokens that act for a mailbox: domain-wide delegation with a key file, or without one through IAM Credentials.

https://developers.google.com/identity/protocols/oauth2/service-account#delegatingauthority
"""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gmail_settings import GmailSettings
from shared.errors import InvalidSettings
from shared.renewals import NotRenewed
from shared.web.google_credentials import Fetch, NoToken, default_credentials, refresh

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

# The narrowest of the scopes that users.watch and users.stop accept.
SCOPE = "https://www.googleapis.com/auth/gmail.metadata"
IAM_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
AUTHORISE = f"authorise the service account's client ID for {SCOPE} (Admin console, domain-wide delegation)"

SIGN_IN = "check the credentials that this runs with; on your own machine: `gcloud auth application-default login`"
TOKEN_SECONDS = 20  # for a token, including its signature


def own_credentials() -> "Credentials":
    """Return the credentials of this environment, which sign for GMAIL_DELEGATE. Raises InvalidSettings."""
    try:
        credentials: Credentials = default_credentials(IAM_SCOPE, time.monotonic() + TOKEN_SECONDS)
    except NoToken as exc:
        raise InvalidSettings(
            "GMAIL_DELEGATE is set, but there are no Google credentials here that could act as it; sign in with "
            "`gcloud auth application-default login`",
            ("GMAIL_DELEGATE",),
        ) from exc
    return credentials


def acting_for(
    mailbox: str, gmail: GmailSettings, source: "Credentials | None", fetch: Fetch | None = None
) -> "Credentials":
    """Return credentials that act for the mailbox, with a fresh token. Raises NotRenewed.

    The key of a key file signs the assertion; without one IAM Credentials signs it (`signJwt`), at the request of
    `source`.
    """
    credentials: Any
    if source is not None and not source.valid:
        _refresh(source, fetch, lambda said: SIGN_IN)
    if gmail.key is not None:
        credentials = gmail.key.with_scopes([SCOPE]).with_subject(mailbox)
    else:
        from google.auth import impersonated_credentials

        credentials = impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source, target_principal=gmail.delegate, target_scopes=[SCOPE], subject=mailbox
        )
    _refresh(credentials, fetch, lambda said: _remedy(said, gmail))
    return credentials  # type: ignore[no-any-return]


def _refresh(credentials: Any, fetch: Fetch | None, remedy: Callable[[str], str]) -> None:
    try:
        refresh(credentials, time.monotonic() + TOKEN_SECONDS, fetch)
    except NoToken as exc:
        raise NotRenewed.with_remedy(f"could not get a token from Google: {exc.said}", remedy(exc.said)) from exc


def _remedy(said: str, gmail: GmailSettings) -> str:
    if re.search(r"\biat\b", said):
        return "correct the clock of the machine that this runs on"
    if "unauthorized_client" in said or "access_denied" in said:
        return AUTHORISE
    if "Signature" in said or "invalid_client" in said or "account not found" in said:
        return "the key no longer belongs to the service account: create another one, or better use GMAIL_DELEGATE"
    if "invalid_grant" in said:
        return "check that the mailbox in GMAIL_USER_EMAIL exists, in the domain that delegates"
    if gmail.key is None and any(word in said for word in ("PERMISSION_DENIED", "SERVICE_DISABLED", "NOT_FOUND")):
        return (
            "enable iamcredentials.googleapis.com, and grant roles/iam.serviceAccountTokenCreator on "
            f"{gmail.delegate} to the service account that this function runs as"
        )
    return ""
