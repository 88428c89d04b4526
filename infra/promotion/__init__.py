"""A quantized candidate in a staging repository, taken as it is and made sure of."""
