"""The voice path of a live call as one package."""
