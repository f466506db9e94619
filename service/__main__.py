"""`python -m service`: the same as `denoise`, but told nothing it serves."""

import sys

from service import cli

if __name__ == "__main__":
    cli.main(sys.argv[1:] or ["serve"])
