"""Look at data and results: noise check, comparison, quality."""
