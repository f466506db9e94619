"""The service itself, but every observation is counted when it is made."""

from denoise import metrics, settings
from denoise.server import process

# Every worker process imports this module before it serves.
metrics.COUNTING_PAUSE_S = 0

if __name__ == "__main__":
    process.serve(settings.read())
