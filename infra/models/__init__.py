"""Model folders: where they come from, what tensors they hold, and how a family is put together."""
