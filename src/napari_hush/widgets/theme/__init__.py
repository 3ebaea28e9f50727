"""Colors, collapsible sections, segmented buttons, repainting."""
