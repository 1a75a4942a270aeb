"""What a site allows: rules, budgets and the schema map; and what they say of a statement."""

from __future__ import annotations

from proxy.policy.explain import Explanation, explain
from proxy.policy.judge import judge
from proxy.policy.load import load_policy
from proxy.policy.policy import Policy, Rule, Thresholds

__all__ = ["Explanation", "Policy", "Rule", "Thresholds", "explain", "judge", "load_policy"]
