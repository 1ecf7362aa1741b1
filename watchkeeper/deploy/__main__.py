"""What `deploy_functions.sh` calls."""

import sys

try:
    from watchkeeper.deploy.command import main
    from watchkeeper.deploy.signals import end_by
except ImportError as exc:
    sys.exit(
        f"error: {sys.executable} cannot run this ({exc}): run 'make setup', or name a Python that has "
        "requirements-dev.txt in PYTHON"
    )

if __name__ == "__main__":
    code = main(sys.argv[1:])
    if code < 0:
        end_by(-code)
    sys.exit(code)
