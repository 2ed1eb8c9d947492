"""The dashboard at the admin door: what it shows (``frame``), how it is told (``feed``)."""

from gateway.serving.dashboard.feed import Feed, Look
from gateway.serving.dashboard.pages import Pages

__all__ = ["Feed", "Look", "Pages"]
