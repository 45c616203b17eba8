"""Lets verl's workers start beside a TRL that no longer has the value-head model of its PPO.

verl 0.9.1 patches that model wherever TRL is installed, and fails where the model is gone (TRL 1.16). Only critics use it; none of our
methods has one. Loaded in every process of verl's by `VERL_USE_EXTERNAL_MODULES`, before anything asks.
"""

import verl.utils.import_utils


def _unavailable() -> bool:
    return False


verl.utils.import_utils.is_trl_available = _unavailable
