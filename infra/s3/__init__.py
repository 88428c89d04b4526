"""S3 services: addresses, a client that waits for them, and what their refusals mean."""
