"""Layers as training data: choosing, axes, regions, drag and drop."""
