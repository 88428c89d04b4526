"""The tests mirror the code: unit, properties, flows, and what they share in `support`."""
