"""napari with the image and the Denoise dock. Started by scripts/demo."""

import argparse
import sys
from pathlib import Path

from qtpy.QtWidgets import QApplication


def main() -> int:
    """Open the window; answer when it is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument(
        "--probe", action="store_true", help="only ask whether one can open"
    )
    given = parser.parse_args()
    if given.probe:
        # Qt ends the process where no screen answers.
        QApplication([])
        return 0

    import napari
    from demo_image import load

    from napari_hush.errors import HushError

    try:
        image = load(given.image)
    except HushError as error:
        print(error, file=sys.stderr)
        return 2
    print("Opening napari; close its window to end.")
    viewer = napari.Viewer(title="napari-hush")
    channel = image.axes.index("C") if "C" in image.axes else None
    viewer.add_image(
        image.data,
        name=image.name,
        channel_axis=channel,  # a layer for each
        axis_labels=tuple(image.axes.replace("C", "")),
    )
    viewer.window.add_plugin_dock_widget("napari-hush", "Denoise")
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
