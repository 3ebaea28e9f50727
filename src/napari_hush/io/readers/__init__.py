"""Formats read with libraries of their own: CZI, ND2, LIF and pictures."""
