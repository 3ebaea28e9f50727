"""Draw a simulated image before and after, for docs/gallery.md: see docs_pictures."""

from pathlib import Path

import numpy as np
from PIL import Image as Picture

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.io.samples import simulated

PATH = Path(__file__).parents[1] / "docs" / "images" / "before-after.png"
DETAIL = np.s_[150:271, 120:241]
ZOOM, GAP = 3, 10  # pixels of the picture: for each pixel of the image, and between the two
# 736 pixels wide in all, the width of a page's text: shown as it is, without interpolation.


def main() -> None:
    """Train on the simulated image, and draw."""
    noisy, ground_truth = simulated()
    config = create_n2v_configuration("cells", "array", "YX", [64, 64], 16, num_epochs=60)
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    # The network alone, since the caption says that it learned from this image alone.
    denoised = careamist.predict(noisy, own_value="off")
    low, high = np.quantile(ground_truth[DETAIL], [0.002, 0.999])
    squares = np.ones((ZOOM, ZOOM))
    panels = [
        np.kron(np.clip((image[DETAIL] - low) / (high - low), 0, 1), squares)
        for image in (noisy.astype(np.float32), denoised)
    ]
    gap = np.ones((len(panels[0]), GAP))
    picture = np.rint(255 * np.hstack([panels[0], gap, panels[1]]))
    Picture.fromarray(picture.astype(np.uint8)).save(PATH, optimize=True)
    print(f"docs/images/{PATH.name}: {PATH.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
