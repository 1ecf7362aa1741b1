"""The real gcloud, started once: most of the second that a command takes is spent on imports.

`folder()` holds a program `gcloud` for a PATH. It hands its words, environment, folder and streams to a process that
has imported gcloud already; that one forks, and the child runs the command just as gcloud's own start would.
"""

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    command = json.dumps([["gcloud", *sys.argv[1:]], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(command).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(command)
    code = server.recv(1)
sys.exit(code[0] if code else "gcloud ended without a word")
"""

# What most commands import once they know what they are.
_IMPORTED_BY_MOST = (
    *("calliope.cli", "command_lib.iam.iam_util", "core.updater.update_manager", "core.credentials.transports"),
    *("api_lib.container.kubeconfig", "command_lib.run.flags", "command_lib.functions.flags"),
)


def installed() -> tuple[str, Path] | None:
    """Return gcloud's own Python and the folder of gcloud's packages; None where they cannot be found."""
    root = Path(shutil.which("gcloud") or "/").resolve().parent.parent
    bundled = root / "platform" / "bundledpythonunix" / "bin" / "python3"
    python = str(bundled) if bundled.exists() else shutil.which("python3", path=os.defpath)
    return (python, root / "lib") if python and (root / "lib" / "gcloud.py").exists() else None


@cache
def folder() -> Path | None:
    """Start the process that has imported gcloud, and return the folder of its client; None where it cannot be found.

    It ends with this process.
    """
    if (found := installed()) is None:
        return None
    python, library = found
    place = Path(tempfile.mkdtemp(prefix="warm-gcloud-"))
    address = str(place / "socket")
    env = {"PATH": os.defpath, "PYTHONIOENCODING": "UTF-8", "CLOUDSDK_ENCODING": "UTF-8", "HOME": str(place)}
    command = [python, "-S", __file__, str(library), address]
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(process.communicate)  # which closes its stdin, and waits for its end
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    client = place / "bin" / "gcloud"
    client.parent.mkdir()
    client.write_text(_CLIENT.format(python=python, address=address))
    client.chmod(0o755)
    return client.parent


def serve(library: str, address: str) -> None:
    """Import gcloud, and run the commands of clients until stdin is closed. gcloud's own Python calls this."""
    sys.path[:0] = [f"{library}/third_party", library]
    gcloud_main = import_module("googlecloudsdk.gcloud_main")
    for module in _IMPORTED_BY_MOST:
        with suppress(ImportError):  # in another version
            import_module(f"googlecloudsdk.{module}")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(100)
        os.write(1, b"ready\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
        while server in select.select([server, sys.stdin], [], [])[0]:
            client, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(client, gcloud_main)
            client.close()
    shutil.rmtree(Path(address).parent, ignore_errors=True)


def _answer(client: socket.socket, gcloud_main: Any) -> None:
    """Run the client's command in this process, tell it the exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, streams, _, _ = socket.recv_fds(client, 4, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.argv, env, place = json.loads(client.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL))
    os.environ.clear()
    os.environ.update(env)
    os.chdir(place)
    code: Any = 1
    try:
        gcloud_main.main()
        code = 0
    except SystemExit as exc:
        code = exc.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        client.sendall(bytes([code if isinstance(code, int) else int(code is not None)]))
        os._exit(0)


if __name__ == "__main__":
    serve(*sys.argv[1:])
