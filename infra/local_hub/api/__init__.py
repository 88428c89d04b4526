"""The routes, one file a subject; each takes a request apart and calls what does the work."""
