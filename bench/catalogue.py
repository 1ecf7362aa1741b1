"""The time of the command line to import and to list many jobs, in both stores. Whole processes are timed."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from bench.figure import Figure
from bench.functions import environment
from bench.site import Site
from bench.worker import clock
from shared.settings import PROJECT_FOLDER
from watchkeeper.fakes.deliveries import former_jobs

JOBS = 20_000


def catalogue(site: Site) -> Iterator[Figure]:
    """Time `jobs import` of the former system's file and `jobs list --json`, and compare them with bare limits."""
    file = site.folder / "jobs.json"
    file.write_text(json.dumps(former_jobs(JOBS, url="http://127.0.0.1", now=clock() + timedelta(days=1))))
    took: defaultdict[str, list[float]] = defaultdict(list)
    for number in range(site.rounds):
        store = site.folder / f"store-{number}.json"
        env = environment(site, SCHEDULER_STORAGE="json", SCHEDULER_JSON_PATH=str(store))
        took["import json"].append(timed(watchkeeper("import", str(file)), env))
        took["list json"].append(timed(watchkeeper("list", "--json"), env))
        took["bare list json"].append(timed(bare("list_json", str(store)), env))
        env = environment(site, SCHEDULER_STORAGE="firestore")
        took["bare import firestore"].append(timed(bare("import_firestore", str(file)), env))
        took["bare list firestore"].append(timed(bare("list_firestore"), env))
        site.clear()
        took["import firestore"].append(timed(watchkeeper("import", str(file)), env))
        took["list firestore"].append(timed(watchkeeper("list", "--json"), env))
        site.clear()
    yield _figure("jobs import", "import json", took, None, "")
    yield _figure("jobs list --json", "list json", took, 2.0, "the file is read, and its jobs parsed, once")
    yield _figure("jobs import", "import firestore", took, 1.3, "the client's batches of 500, one after another")
    yield _figure("jobs list --json", "list firestore", took, 2.0, "one query of the client, written as JSON")


def _figure(name: str, key: str, took: Mapping[str, list[float]], budget: float | None, limit: str) -> Figure:
    return Figure(
        name=f"{name}, {JOBS:,} jobs, {key.split()[-1]}",
        unit="s",
        runs=tuple(took[key]),
        bare=tuple(took.get(f"bare {key}", ())),
        budget=budget,
        note=limit and f"the bare limit: {limit}",
    )


def watchkeeper(*arguments: str) -> list[str]:
    """Return the command line of `watchkeeper jobs` with these arguments."""
    return [str(Path(sys.executable).with_name("watchkeeper")), "jobs", *arguments]


def bare(*arguments: str) -> list[str]:
    """Return the command line of a bare limit."""
    return [sys.executable, "-P", str(PROJECT_FOLDER / "bench" / "bare_catalogue.py"), *arguments]


def timed(command: Sequence[str], env: Mapping[str, str]) -> float:
    """Run a command; return the seconds it took."""
    began = time.perf_counter()
    subprocess.run(command, env=env, cwd=env["HOME"], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
