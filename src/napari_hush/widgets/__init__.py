"""The docks "Denoise" and "Denoise files" for napari.

Nothing is imported here: sample data load no dock, and opening a dock loads no torch.
"""
