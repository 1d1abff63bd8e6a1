"""``python -m fastml`` is the ``fastml`` command."""

import sys

from fastml.cli.main import main

sys.exit(main())
