"""Sockets, clocks, tasks, files and signals: the one layer that does I/O."""
