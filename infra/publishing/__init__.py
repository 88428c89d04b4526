"""A release to the Hub: complete or not there, under names that never move."""
