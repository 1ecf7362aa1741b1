"""Rounds of faults over real processes, with fixed seeds; `make soak` runs fresh ones."""

import logging
from pathlib import Path

import pytest

from tests.faults.rounds import DISTURBANCES, HAPPENED, run_round


@pytest.mark.parametrize(
    ("storage", "seed"), [("json", 1), ("json", 2), pytest.param("firestore", 3, marks=pytest.mark.emulator)]
)
def test_a_round_of_faults_breaks_no_promise(
    storage: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ticks are killed, ended and frozen, clocks differ, people give commands and the store fails."""
    caplog.set_level(logging.CRITICAL)
    emulator = request.getfixturevalue("firestore_emulator") if storage == "firestore" else None

    done = run_round(seed, seconds=12 if emulator else 8, emulator=emulator, folder=tmp_path)

    assert not done.broken, str(done)
    assert min(done.figures[name] for name in (*HAPPENED, *DISTURBANCES)) > 0
