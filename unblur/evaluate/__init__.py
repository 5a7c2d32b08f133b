"""Tables over the rooms: how good is it, on what data."""
