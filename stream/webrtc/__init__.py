"""Send pictures to, and receive them from, WebRTC peers and browsers."""
