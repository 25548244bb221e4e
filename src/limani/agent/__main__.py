"""``python -m limani.agent``."""

import os
import sys

# aiohttp loads the system's certificate authorities as it is imported (2.5 MiB); the agent trusts none of them: peers
# are known by fingerprint, the API server by the cluster's own authority.
os.environ["SSL_CERT_FILE"] = os.environ["SSL_CERT_DIR"] = os.devnull

from limani.agent.main import main

sys.exit(main())
