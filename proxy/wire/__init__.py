"""Bytes to messages and back: the PostgreSQL frontend/backend protocol, version 3.

No I/O, no SQL, no opinion.
"""
