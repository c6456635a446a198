"""`python -m saom_ros` is the command line `saom`."""

import sys

from saom_ros.cli import main

sys.exit(main())
