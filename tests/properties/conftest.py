"""How hard the properties are tried: a fixed few each time, thousands when asked.

`HYPOTHESIS_PROFILE=thorough python -m pytest tests/properties` looks for what the few do not show.
"""

import os

from hypothesis import settings

# The first call of torch is slow, so no example has a deadline.
settings.register_profile("quick", max_examples=30, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
