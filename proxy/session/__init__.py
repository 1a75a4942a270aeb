"""One session, without any I/O: events in, commands out.

``Session.handle`` takes what happened (bytes, an end, an answer) and returns what is to be done.
"""

from __future__ import annotations

from proxy.session.admission import Admission
from proxy.session.context import Context
from proxy.session.routes import Route
from proxy.session.session import Session

__all__ = ["Admission", "Context", "Route", "Session"]
