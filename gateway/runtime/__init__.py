"""The composition root: builds the parts from a config and owns their lives."""
