"""`python -m hounsfield` is the command `hounsfield`."""

import sys

from hounsfield.cli import main

sys.exit(main())
