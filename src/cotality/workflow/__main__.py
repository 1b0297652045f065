"""``python -m cotality.workflow``."""

import sys

from cotality.workflow._command_line import main

if __name__ == "__main__":
    sys.exit(main())
