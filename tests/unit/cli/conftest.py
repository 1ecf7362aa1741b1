"""The command line on an empty store, and a file to import."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Terminal


@pytest.fixture
def run(tmp_path: Path, now: datetime) -> Terminal:
    """The command line, on an empty store."""
    return Terminal(path=tmp_path / "jobs.json", at=now)


@pytest.fixture
def jobs_json(tmp_path: Path) -> Callable[..., str]:
    """Write objects to a jobs.json and give its path."""

    def write(*objects: Any) -> str:
        path = tmp_path / "former.json"
        path.write_text(json.dumps(objects))
        return str(path)

    return write
