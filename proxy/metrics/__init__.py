"""Every metric of Vigie, declared once and counted through small typed methods."""

from __future__ import annotations

from proxy.metrics.recorded import Metrics

__all__ = ["Metrics"]
