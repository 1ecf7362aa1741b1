"""Files that only their owner can read: jobs have payloads, and a payload may hold a secret."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

OWN_FOLDER = ".data"


def make_private_folder(folder: Path) -> None:
    """Create the folder of a job file, for its owner alone. Of existing folders only the mode of `.data` is changed."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.name == OWN_FOLDER and stat.S_IMODE(folder.lstat().st_mode) & 0o077 and not folder.is_symlink():
        with suppress(PermissionError):  # another person's folder; that person decides
            folder.chmod(0o700)


def open_private(path: Path, *, append: bool = False) -> BinaryIO:
    """Open a file to read and write, for its owner alone, even if its mode was wider. Raises OSError.

    It is created if necessary. A link of this name is not followed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if append else 0)
    descriptor = os.open(path, flags, 0o600)
    with suppress(PermissionError):  # another person's file, who decides
        os.fchmod(descriptor, 0o600)
    return open(descriptor, "ab" if append else "r+b")


def create_private(path: Path, pieces: Iterable[str]) -> None:
    """Write a new file, for its owner alone, and flush it to disk.

    Raises OSError, and FileExistsError if the name is taken, even by a link.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())
