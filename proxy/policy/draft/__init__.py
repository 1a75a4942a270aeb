"""A first schema map from a live database: what each column seems to be, why, and how sure.

Pure: what was read of the database comes in as values (``live_schema``), a text to review goes out.
"""
