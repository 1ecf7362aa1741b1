"""A process group that ends with us: a process and all its children, even if we are killed."""

from collections.abc import Sequence

# Beside the program waits a guard that ends the whole process group when our end of the pipe is closed: by us, or by
# the system when we die, of whatever cause.
_SCRIPT = 'exec 3<&0; { read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" 3<&- </dev/null'


def guarded(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` under a guard.

    Start it with `stdin=PIPE` and `start_new_session=True`; closing the pipe kills the group. A session of its own
    does not hear the terminal's Ctrl-C, and is a process group without us in it.
    """
    return ["sh", "-c", _SCRIPT, "sh", *command]
