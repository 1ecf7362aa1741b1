"""A server that counts deliveries, and jobs that deliver to it: realistic input to try the whole system with.

    python -m watchkeeper.fakes.deliveries jobs.json --jobs 200 --port 8090

writes 200 due `http_request` jobs to `jobs.json`, in the format of the system that Watchkeeper replaces. Then it
answers their requests, and reports how many arrived and whether one arrived twice. `GET /` returns the figures as JSON.
"""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from werkzeug.serving import BaseWSGIServer
from werkzeug.wrappers import Request, Response

from watchkeeper.serving import bind, only_this_machine


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--jobs", "count", default=200, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65535))
def main(path: Path, count: int, port: int) -> None:
    """Write due jobs to PATH, in the former system's format, and receive what they deliver."""
    try:
        server = bind_deliveries(deliveries := Deliveries(), port)
    except OSError as exc:
        raise click.ClickException(f"port {port} cannot be used ({exc.strerror}); choose another with --port") from exc
    jobs = former_jobs(count, url=f"http://127.0.0.1:{port}", now=datetime.now(UTC))
    path.write_text(json.dumps(jobs, indent=1), encoding="utf-8")
    click.echo(f"{path}: {count} due jobs; they deliver to http://127.0.0.1:{port} (Ctrl-C ends this server)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo(json.dumps(deliveries.figures()))


def former_jobs(count: int, *, url: str, now: datetime) -> list[dict[str, Any]]:
    """Return jobs as the former system stored them: with naive UTC times as text, due for up to an hour."""

    def text(moment: datetime) -> str:
        return moment.replace(tzinfo=None).isoformat()

    return [
        {
            "id": f"order-{number:05}",
            "job_type": "http_request",
            "schedule_at": text(now - timedelta(seconds=number % 3600)),
            "payload": {"url": f"{url}/orders/{number}", "method": "POST", "body": {"order": number}},
            "status": "pending",
            "created_at": text(now - timedelta(days=1)),
            "attempts": 0,
            "max_attempts": 3,
        }
        for number in range(count)
    ]


class Deliveries:
    """A web application that counts deliveries by idempotency key: POST is a delivery, GET returns the figures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()

    def figures(self) -> dict[str, int]:
        """Return the number of requests, of occurrences, and of occurrences that were delivered more than once."""
        with self._lock:
            repeated = sum(times > 1 for times in self._keys.values())
            return {"requests": self._keys.total(), "occurrences": len(self._keys), "delivered_twice": repeated}

    def answer(self, request: Request) -> Response:
        """Count a delivery, or return the figures as JSON."""
        if request.method != "POST":
            return Response(json.dumps(self.figures()) + "\n", content_type="application/json")
        request.get_data()
        with self._lock:
            self._keys[request.headers.get("Idempotency-Key") or "none"] += 1
        return Response(status=204)


def bind_deliveries(deliveries: Deliveries, port: int) -> BaseWSGIServer:
    """Return a server for them that only this machine can reach. Raises OSError."""
    return bind(only_this_machine(Request.application(deliveries.answer)), port)


if __name__ == "__main__":
    main()
