"""`python -m dataflow` is the command `dataflow`."""

import sys

from dataflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
