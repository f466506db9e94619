"""The service itself, but every observation is counted when it is made, without denoise/tally.py."""

from denoise import settings, tally
from denoise.server import process

# Every worker process imports this module before it serves.
tally.PAUSE_S = 0

if __name__ == "__main__":
    process.serve(settings.read())
