"""Forms for the configuration."""
