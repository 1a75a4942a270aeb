"""The vocabulary as frozen values; imports nothing of ours but ``errors``."""
