"""A tag is set, and a release starts: once, whoever says so and however often."""
