"""From names in a policy file to plugin instances: found, checked, built. Errors are strict."""

from gateway.loading.build import build_policy, with_parameters
from gateway.loading.registry import Offer, Registry

__all__ = ["Offer", "Registry", "build_policy", "with_parameters"]
