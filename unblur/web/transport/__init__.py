"""HTTP infrastructure: server, limits, origin, bodies, OpenAPI, rendering, errors."""
