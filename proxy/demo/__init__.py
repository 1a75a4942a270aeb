"""The synthetic laboratory: its PostgreSQL, invented patients, a morning's work, attacks."""
