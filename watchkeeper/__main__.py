"""The program `watchkeeper`: it imports its commands where Ctrl-C is caught, since that takes a third of a second."""

import signal
import sys


def main() -> None:
    """Run the command line."""
    try:
        from watchkeeper.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # as in a shell


if __name__ == "__main__":
    main()
