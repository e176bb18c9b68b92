"""A generator drawn from, scored and timed in one pass."""
