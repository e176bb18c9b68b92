"""Models and image operations: torch only, no knowledge of the host that runs them."""
