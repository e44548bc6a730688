"""`python -m tasks.gan.classifier`: the command of classifiers.py."""

import sys

from tasks.gan.classifier.classifiers import main

if __name__ == "__main__":
    sys.exit(main())
