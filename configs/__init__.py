"""The configuration: its schema, its defaults and the presets."""
