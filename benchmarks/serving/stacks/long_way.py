"""The service itself, but pictures go the ordinary way through FastAPI, without denoise/web/shortcut.py."""

from functools import partial

from denoise import settings
from denoise.server import process
from denoise.web.app import create_app

# Every worker process imports this module before it makes its app.
process.create_app = partial(create_app, short_way=False)

if __name__ == "__main__":
    process.serve(settings.read())
