"""The web: a plain page for the waste team, opt-out links for residents, and one way in for providers' callbacks."""

from nudges.studio.app import create_app

__all__ = ["create_app"]
