"""The doors: HTTP for clients, an admin door, and the exchange between them and the centers."""

from gateway.serving.admin import admin_routes, build_admin_app, lasting_admin_app
from gateway.serving.app import build_public_app, runner_options
from gateway.serving.arrival import Answer, Arrival, Collaborators, Deciding, Parts
from gateway.serving.exchange import Exchange
from gateway.serving.front import Front
from gateway.serving.public_door import PublicDoor

__all__ = [
    "Answer",
    "Arrival",
    "Collaborators",
    "Deciding",
    "Exchange",
    "Front",
    "Parts",
    "PublicDoor",
    "admin_routes",
    "build_admin_app",
    "build_public_app",
    "lasting_admin_app",
    "runner_options",
]
