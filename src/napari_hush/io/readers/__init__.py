"""Formats that are read with a library each: CZI, ND2, LIF and pictures."""
