"""The machine: memory, processes, optional packages, files that are written whole."""
