"""Results and previews as layers."""
