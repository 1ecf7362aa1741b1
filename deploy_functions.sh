#!/usr/bin/env bash
# Deploys and operates everything that functions.toml lists, by `python -m watchkeeper.deploy`. Run it with --help.
set -euo pipefail

fail() { echo "error: $*" >&2; exit 1; }

main() {
    local folder python
    folder="$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
    python="${PYTHON:-$folder/.venv/bin/python}"
    # The packages of this folder are found here; a path on the command line is one of the caller's folder.
    export CALLED_FROM="$PWD"
    cd -- "$folder"
    command -v "$python" >/dev/null ||
        fail "$python is not there: run 'make setup', or name a Python that has requirements-dev.txt in PYTHON"
    exec "$python" -m watchkeeper.deploy "$@"
}

main "$@"
