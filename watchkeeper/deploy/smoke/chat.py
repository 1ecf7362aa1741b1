"""The smoke test of what Google Chat calls: its code must refuse an unsigned event."""

import json

import click

from watchkeeper.deploy.functions_table import Function
from watchkeeper.deploy.gcloud import StepFailed
from watchkeeper.deploy.outside import HttpResponse
from watchkeeper.deploy.patience import Backoff
from watchkeeper.deploy.smoke.waiting import BUSY, UNAVAILABLE
from watchkeeper.deploy.work import Work


def send_unsigned_event(work: Work, function: Function) -> None:
    """Send Chat's function an unsigned event, which its code must refuse. Raises StepFailed and StillRefused.

    Only Chat can sign an event, so an accepted one stays unproved. The token that Cloud Run needs goes into a header of
    its own, so our code sees no token.
    """
    service, url = work.deployment.service(function), work.deployment.url(function)
    unproved = f"not proved: that Google Chat reaches {service}; write `help` to the app"
    if work.is_dry_run:
        work.note(f"POST {url} without a token of Chat, which must be refused")
        return
    entrance = _entrance(work, function)
    if entrance is not None and _is_refused_by_code(work, function, entrance):
        click.echo(f"proved: {service} runs, and refuses an unsigned event")
    else:
        unproved += f". Nor that it runs, since Cloud Run lets you in only with roles/run.invoker on {service}"
    work.leave_open(unproved)


def _entrance(work: Work, function: Function) -> dict[str, str] | None:
    """Return the headers that Cloud Run needs, None if gcloud has no token for them.

    A public function needs none.
    """
    if not work.deployment.caller(function):
        return {}
    asked = ("auth", "print-identity-token")
    # Only a service account can have a token for an audience, and needs one.
    for flags in ((f"--audiences={work.deployment.url(function)}",), ()):
        found = work.gcloud.ask(*asked, *flags)
        if found.code == 0:
            return {"X-Serverless-Authorization": f"Bearer {found.output.decode().strip()}"}
    return None


def _is_refused_by_code(work: Work, function: Function, entrance: dict[str, str]) -> bool:
    """Return whether our code refuses the event, and not Cloud Run. Raises StepFailed and StillRefused."""
    service, backoff = work.deployment.service(function), Backoff(work.patience)
    headers = {"Content-Type": "application/json", **entrance}
    while True:
        reply = work.outside.request("POST", work.deployment.url(function), headers=headers, body=b"{}")
        code = _error_code(reply)
        if code in ("unauthorized", "forbidden"):
            return True
        if not code and reply.status in (401, 403):
            return False
        if reply.status not in (0, 429, 503):
            break
        backoff.wait_for(BUSY if reply.status == 429 else UNAVAILABLE)
    if reply.status == 200:
        raise StepFailed(f"{service} accepts an unsigned event: anyone who can reach it can send it commands")
    raise StepFailed(f"{service} answered {reply.status}{code and f' {code}'}; see its log")


def _error_code(reply: HttpResponse) -> str:
    """Return the code of an error of ours, "" where the answer is not one."""
    try:
        return str(json.loads(reply.body)["error"]["code"])
    except (ValueError, LookupError, TypeError):
        return ""
