"""Colours, collapsible sections, segmented buttons, repainting."""
