"""The machine: atomic writes, memory, hardware, job environment, optional packages."""
