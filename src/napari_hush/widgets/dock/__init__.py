"""The two docks and what they are made of."""
