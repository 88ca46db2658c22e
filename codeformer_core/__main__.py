"""`python -m codeformer_core` is the command `codeformer`."""

import sys

from .cli import main

sys.exit(main())
