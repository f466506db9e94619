"""`python -m denoise`: the same as `denoise`; without arguments it serves."""

import sys

from denoise.cli import commands

if __name__ == "__main__":
    commands.main(sys.argv[1:] or ["serve"])
