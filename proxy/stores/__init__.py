"""Where usage is kept so that it outlives the process. I/O, and nothing else.

A store takes batches of changes (``proxy.meter.saved``) and gives back at the next start all that
was kept.
"""
