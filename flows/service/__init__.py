"""Roundhouse as a service of one machine: all processes, and what the server is told of."""
