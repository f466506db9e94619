"""`python -m service`: serves the models until it is told to stop."""

import sys

from service import server, settings
from service.errors import SetupError

if __name__ == "__main__":
    try:
        server.serve(settings.read())
    except SetupError as error:
        sys.exit(f"The service cannot start. {error}")
