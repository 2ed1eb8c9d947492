"""Files and flags -> typed settings; the fleet file -> centers."""

from gateway.config.load import Effective, load_settings
from gateway.config.settings import SHIPPED_POLICIES, Policy, Settings

__all__ = ["SHIPPED_POLICIES", "Effective", "Policy", "Settings", "load_settings"]
