"""`python -m service [doctor]`: serves the models until it is told to stop, or says what they would run on."""

import argparse
import sys

from service import doctor, server, settings
from service.errors import SetupError


def main() -> None:
    """Does what the command line asks for. Raises SetupError when it cannot."""
    parser = argparse.ArgumentParser(prog="python -m service", description="Settings come from the environment.")
    parser.add_argument("command", nargs="?", choices=["serve", "doctor"], default="serve")
    command = parser.parse_args().command
    chosen = settings.read()
    if command == "serve":
        server.serve(chosen)
        return
    for line in doctor.examine(chosen):
        print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except SetupError as error:
        sys.exit(f"The service cannot start. {error}")
