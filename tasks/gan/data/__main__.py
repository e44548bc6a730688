"""`python -m tasks.gan.data`: the command of cifar10.py."""

import sys

from tasks.gan.data.cifar10 import main

if __name__ == "__main__":
    sys.exit(main())
