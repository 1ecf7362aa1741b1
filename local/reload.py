"""Reloading: a function whose code has changed is staged anew and tried, and only then takes the old one's place."""

import logging
import shutil

from local.function_process import FunctionFailed, FunctionProcess
from local.interrupts import Wait
from local.staging import StagingFailed

log = logging.getLogger("watchkeeper.dev")

LOOK_SECONDS = 0.5


def reload_on_change(process: FunctionProcess, wait: Wait) -> None:
    """Look at the code now and then until `wait` says to stop. What cannot be imported is told of and not run."""
    name, code = process.function.name, process.code
    while not wait(LOOK_SECONDS):
        if not (changes := code.changes()):
            continue
        former = process.folder
        try:
            code.stage()
            process.try_import(code.folder)
            if process.restart(code.folder, wait):
                log.info("The %s function was reloaded (%s)", name, changes)
        except StagingFailed as exc:
            if not wait(0):
                log.error("The %s function goes on with its old code (%s): %s", name, changes, exc)
        except FunctionFailed as exc:
            log.error("%s", exc)
        shutil.rmtree(former if process.folder == code.folder else code.folder, ignore_errors=True)
