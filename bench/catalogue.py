"""How long the command line takes to import many jobs, and to list them, in both stores. Whole processes are timed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from bench.figure import Figure
from bench.functions import environment
from bench.site import Site
from bench.worker import clock
from watchkeeper.fakes.deliveries import former_jobs

JOBS = 20_000


def catalogue(site: Site) -> Iterator[Figure]:
    """Time `jobs import` of the former system's file, and `jobs list --json`."""
    file = site.folder / "jobs.json"
    file.write_text(json.dumps(former_jobs(JOBS, url="http://127.0.0.1", now=clock() + timedelta(days=1))))
    imports: dict[str, list[float]] = {"json": [], "firestore": []}
    lists: dict[str, list[float]] = {"json": [], "firestore": []}
    for number in range(site.rounds):
        for storage in imports:
            path = str(site.folder / f"store-{number}.json")
            env = environment(site, SCHEDULER_STORAGE=storage, SCHEDULER_JSON_PATH=path)
            imports[storage].append(watchkeeper("import", str(file), env=env, cwd=site.folder))
            lists[storage].append(watchkeeper("list", "--json", env=env, cwd=site.folder))
            site.clear()
    for storage in imports:
        yield Figure(name=f"jobs import, {JOBS:,} jobs, {storage}", unit="s", runs=tuple(imports[storage]))
        yield Figure(name=f"jobs list --json, {JOBS:,} jobs, {storage}", unit="s", runs=tuple(lists[storage]))


def watchkeeper(*arguments: str, env: Mapping[str, str], cwd: Path) -> float:
    """Run `watchkeeper jobs` with these arguments; return the seconds it took."""
    command = [str(Path(sys.executable).with_name("watchkeeper")), "jobs", *arguments]
    began = time.perf_counter()
    subprocess.run(command, env=env, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began
