"""Event notifiers: MQTT and webhooks. They never block the pipeline."""
