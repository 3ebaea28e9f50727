"""Reading and writing TIFF files, region by region."""
