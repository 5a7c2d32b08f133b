"""Networks: where they come from, whether they are trusted, and what runs them."""
