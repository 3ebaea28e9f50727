"""Results that are written region by region, whatever their format."""
