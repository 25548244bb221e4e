"""``python -m limani.agent``."""

import sys

from limani.agent.main import main

sys.exit(main())
