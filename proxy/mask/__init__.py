"""Masks on the wire: columns of a result whose values the frontend does not get. No I/O."""
