"""Turn a URL, device, file or push into frames with monotonic time."""
