"""The output of a local run: one short line for each log line of each process."""

import json
import logging
from contextlib import suppress
from datetime import datetime
from typing import TextIO

from shared.logs import LONGEST_LINE, cut

_RESET, _DIM = "\033[0m", "\033[2m"
_COLOURS = {"DEBUG": _DIM, "INFO": "\033[32m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[1;31m"}


class Terminal(logging.Handler):
    """Writes lines to `stream`, with colours where asked for. As a log handler it shows this process's own lines."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        super().__init__()
        self._stream = stream
        self._colour = colour

    def write(self, text: str) -> None:
        """Write text as it is."""
        # The processes still need care when the terminal is gone.
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()

    def show(self, source: str, line: str) -> None:
        """Show what a process wrote: a JSON log line in short form with its traces, anything else as it is."""
        try:
            entry = json.loads(line)
            moment = datetime.fromisoformat(entry["time"])
            text = self._short(moment, entry["severity"], source, entry["message"])
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
            text = line
        else:
            text += "".join(f"\n{entry[name]}" for name in ("trace", "stack_trace") if name in entry)
        self.write(f"{cut(text, LONGEST_LINE)}\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Show a log line of this process; its source is the last part of the logger's name."""
        moment = datetime.fromtimestamp(record.created).astimezone()
        source = record.name.rpartition(".")[2]
        text = self._short(moment, record.levelname, source, self.format(record))
        self.write(f"{cut(text, LONGEST_LINE)}\n")

    def _short(self, moment: datetime, severity: str, source: str, message: str) -> str:
        time = f"{moment.astimezone():%H:%M:%S}"
        colour = _COLOURS.get(severity, "")
        return (
            f"{self._in(_DIM, time)} {self._in(colour, f'{severity:<8}')} {self._in(_DIM, f'{source:<16}')} {message}"
        )

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colour else text
