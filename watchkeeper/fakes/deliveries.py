"""A server that jobs can deliver to, and jobs that do: real input to try the whole system with.

    python -m watchkeeper.fakes.deliveries jobs.json --jobs 200 --port 8090

writes so many due `http_request` jobs to `jobs.json`, in the form of the system that Watchkeeper replaces, then
answers their requests and says how many came, and whether one came twice. `GET /` gives the figures as JSON.
"""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import click

from watchkeeper.fakes.server import LocalHandler


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--jobs", "count", default=200, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--port", default=8090, show_default=True, type=click.IntRange(1, 65535))
def main(path: Path, count: int, port: int) -> None:
    """Write due jobs to PATH, in the former system's form, and take what they deliver."""
    try:
        server = DeliveryServer(port)
    except OSError as exc:
        raise click.ClickException(f"port {port} cannot be used ({exc.strerror}); give another with --port") from exc
    jobs = former_jobs(count, url=f"http://127.0.0.1:{port}", now=datetime.now(UTC))
    path.write_text(json.dumps(jobs, indent=1), encoding="utf-8")
    click.echo(f"{path}: {count} due jobs; they deliver to http://127.0.0.1:{port} (Ctrl-C ends this server)")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo(json.dumps(server.figures()))


def former_jobs(count: int, *, url: str, now: datetime) -> list[dict[str, Any]]:
    """Make jobs as the former system kept them: naive UTC times as text, due for up to an hour."""

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


class DeliveryServer(ThreadingHTTPServer):
    """Counts deliveries by idempotency key. Loopback only."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Delivery)
        self._lock = threading.Lock()
        self._keys: Counter[str] = Counter()

    def take(self, key: str) -> None:
        """Count one delivery."""
        with self._lock:
            self._keys[key] += 1

    def figures(self) -> dict[str, int]:
        """Tell how many requests came, for how many occurrences, and how many came more than once."""
        with self._lock:
            repeated = sum(times > 1 for times in self._keys.values())
            return {"requests": self._keys.total(), "occurrences": len(self._keys), "delivered_twice": repeated}


class Delivery(LocalHandler):
    """One request: any POST is a delivery, GET asks for the figures."""

    server: DeliveryServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.take(self.headers.get("Idempotency-Key") or "none")
        self._answer(204, b"")

    def do_GET(self) -> None:
        self._answer(200, json.dumps(self.server.figures()).encode() + b"\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet: the figures say it."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    main()
