"""``python -m napari_hush`` is ``hush``."""

import sys

from napari_hush.cli import main

if __name__ == "__main__":
    sys.exit(main())
