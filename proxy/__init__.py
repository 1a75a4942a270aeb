"""Vigie: a PostgreSQL proxy that bounds how many patients can leave a laboratory's database."""

from __future__ import annotations

__version__ = "0.1.0"
