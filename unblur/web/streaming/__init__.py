"""Streaming endpoints: server-sent events, WHEP and WHIP, MJPEG."""
