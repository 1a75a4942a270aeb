"""Facts read from the tree of PostgreSQL's grammar, one file per family."""
