"""HTTP machinery: server, limits, origin, bodies, OpenAPI, rendering, errors."""
