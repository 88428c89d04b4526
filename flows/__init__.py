"""Sentences: flows chain tasks.  Also the recipes and the command line."""
