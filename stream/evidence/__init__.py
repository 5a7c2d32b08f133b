"""Keep and verify a signed hash chain of what events rest on."""
