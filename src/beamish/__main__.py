"""`python -m beamish`: the command."""

import sys

from beamish.cli import main

if __name__ == "__main__":
    sys.exit(main())
