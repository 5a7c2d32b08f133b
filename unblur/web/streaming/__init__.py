"""Endpoints whose answer goes on: server-sent events, WHEP and WHIP, MJPEG."""
