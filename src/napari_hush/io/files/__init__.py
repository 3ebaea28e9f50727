"""Files of images: finding, pairing and naming them."""
