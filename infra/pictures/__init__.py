"""Pictures for the pages of runs, drawn without a plotting library and small enough for a page."""
