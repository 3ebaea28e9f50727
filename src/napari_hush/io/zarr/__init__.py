"""Reading and writing Zarr arrays and OME-Zarr, region by region."""
