"""Reloading: changed code of a function is staged and imported, and only then replaces the running code."""

import importlib
import logging
import shutil
import sys
from collections.abc import Callable, Collection

from shared.errors import InvalidSettings
from shared.handlers.registry import AGENT_MODULE, load_handlers
from watchkeeper.deploy.staging import StagingFailed
from watchkeeper.dev.function_process import FunctionFailed, FunctionProcess
from watchkeeper.dev.interrupts import Wait

log = logging.getLogger("watchkeeper.dev")

LOOK_SECONDS = 0.5


def reload_on_change(process: FunctionProcess, wait: Wait, then: Callable[[], object] = lambda: None) -> None:
    """Reload a function whenever its code changes, and call `then` after each reload, until `wait` says to stop.

    If new code cannot be imported, the error is logged and the old code keeps running.
    """
    name, code = process.function.name, process.code
    while not wait(LOOK_SECONDS):
        if not (changes := code.changes()):
            continue
        former = process.folder
        try:
            code.stage()
            process.try_import(code.folder)
            if process.restart(code.folder, wait):
                then()
                log.info("The %s function was reloaded (%s)", name, changes)
        except StagingFailed as exc:
            if not wait(0):
                log.error("The %s function keeps running its old code (%s): %s", name, changes, exc)
        except FunctionFailed as exc:
            log.error("%s", exc)
        shutil.rmtree(former if process.folder == code.folder else code.folder, ignore_errors=True)


def load_handlers_again(modules: Collection[str]) -> None:
    """Import the handlers again in this process too, which creates jobs. A removed type stays known here."""
    package = AGENT_MODULE.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    importlib.invalidate_caches()
    try:
        load_handlers(modules)
    except InvalidSettings as exc:
        log.error("The console keeps the handlers that it has: %s", exc)
