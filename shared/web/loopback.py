"""Who may call a server that checks no identity: programs on this machine, but no page of another website.

Binding 127.0.0.1 is not enough. A browser on the same machine lets any page send requests there: across origins, or
under a host name that the page's owner makes resolve to 127.0.0.1 (DNS rebinding). Both show in the headers.
"""

import logging
import re

from shared.errors import Forbidden
from shared.settings import AuthMode
from shared.web.auth import Headers

log = logging.getLogger("watchkeeper.auth")

LOOPBACK_HOST = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def is_loopback(host: str | None) -> bool:
    """Return whether a Host header names this machine by one of its own names, with any port."""
    return LOOPBACK_HOST.fullmatch(host or "") is not None


def is_cross_origin(headers: Headers) -> bool:
    """Return whether a browser sent the request for a page of another origin; another port is another origin."""
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    own = f"http://{headers.get('Host')}".lower()
    return (origin is not None and origin.lower() != own) or site not in (None, "same-origin", "none")


def foreign(headers: Headers) -> str:
    """Return why a server for this machine alone must refuse the request, or ""."""
    if not is_loopback(headers.get("Host")):
        return "the Host header does not name this machine: use http://127.0.0.1 or http://localhost"
    return "a page of another origin sent the request" if is_cross_origin(headers) else ""


def refuse_foreign(headers: Headers, mode: AuthMode) -> None:
    """Raise Forbidden for a foreign request to a function that checks no identity (AUTH_MODE=off)."""
    if mode is AuthMode.OFF and (reason := foreign(headers)):
        log.warning("Request refused: %s", reason, extra={"fields": {"action": "auth_refused", "reason": reason}})
        raise Forbidden(f"with AUTH_MODE=off only this machine is answered, and {reason}")
