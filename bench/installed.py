"""The installed size of each function: the files of the packages in its lock, as they are in this environment.

Compiled Python is left out: pip adds it, to every package alike.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bench.figure import Figure
from bench.site import Site
from shared.settings import PROJECT_FOLDER

DESCRIPTIONS = "googleapiclient/discovery_cache/documents/"  # of every API of Google; only Gmail's is read
MIB = 2**20


def installed(site: Site) -> Iterator[Figure]:
    """Measure the installed sizes of the functions."""
    sizes = {lock.parent.name: sizes_of(lock) for lock in sorted((PROJECT_FOLDER / "functions").glob("*/*.txt"))}
    each = {name: sum(packages.values()) for name, packages in sizes.items()}
    unread = sum(size for path, size in files_of("google-api-python-client") if DESCRIPTIONS in path)
    largest = sorted(sizes["tick"].items(), key=lambda package: -package[1])[:4]
    yield Figure(
        name="installed size: tick",
        unit="MiB",
        runs=(each["tick"] / MIB,),
        budget=60,
        note=", ".join(f"{name} {size / MIB:.1f}" for name, size in largest),
    )
    yield Figure(
        name="installed size: all functions, without API descriptions",
        unit="MiB",
        runs=((sum(each.values()) - unread) / MIB,),
        budget=300,
        note=f"{', '.join(f'{name} {size / MIB:.0f}' for name, size in each.items())}; of gmail_watch "
        f"{unread / MIB:.0f} are the descriptions of all APIs of Google that its client comes with",
    )


def sizes_of(lock: Path) -> dict[str, int]:
    """Return the bytes of each package of a lock, without packages for another platform."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", lock.read_text(), re.MULTILINE)
    return {name: sum(size for _, size in files_of(name)) for name in names}


def files_of(package: str) -> Iterator[tuple[str, int]]:
    """Return the path and the bytes of each file of a package."""
    try:
        found = distribution(package).files or ()
    except PackageNotFoundError:
        return
    for file in found:
        path = Path(str(file.locate()))
        if path.suffix != ".pyc" and path.exists():
            yield path.as_posix(), path.stat().st_size
