"""Decisions as lines of JSON, without any subject's values in them."""

from __future__ import annotations

from proxy.audit.record import AuditRecord, Charged, RecordKind
from proxy.audit.redact import redact

__all__ = ["AuditRecord", "Charged", "RecordKind", "redact"]
