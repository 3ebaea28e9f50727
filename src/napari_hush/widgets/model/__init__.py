"""The current model: shown, saved, loaded, exported."""
