"""``end_users:``: whom a site believes, and budgets by names that somebody must say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.errors import ConfigurationError
from proxy.meter.ledger import Charge, Ledger
from proxy.terms.behalf import Source, SourceKind
from proxy.terms.principal import Principal
from tests.policy.texts import load_when, load_with

if TYPE_CHECKING:
    from proxy.policy import Policy

BLOCK = "end_users: [{roles: [lims_app], end_user: {comment: user}, why: w}]\n"
BUDGET = (
    "budgets: [{{id: EX250, title: t, severity: high, measure: distinct_subjects, why: w,"
    " limits: {{1 h: 5}}, {more}}}]"
)


def load(more: str, blocks: str = BLOCK) -> Policy:
    """Return a policy with one more budget, EX250."""
    return load_with(blocks + BUDGET.format(more=more))


def ids_for(policy: Policy, role: str, end_user: str = "") -> set[str]:
    """Return the budgets that a role is charged to."""
    budgets = policy.budgets_for(role)
    account = Ledger().account(Principal(role, "lab"), budgets, end_user=end_user)
    account.admit(Charge(anonymous=1), 0.0)
    return {one.budget for one in account.usage(0.0)}


def test_a_block_says_whom_it_believes_and_on_what() -> None:
    """By role, and by address if it says so; the first that fits counts."""
    policy = load_with(
        """
end_users:
  - {roles: [a, b], addresses: [10.0.3.0/24, "fd00::/8", unix], end_user: {comment: uid}, why: w}
  - {roles: [b], end_user: {setting: vigie.user}, application: {setting: application_name}, why: w}
"""
    )

    def source(role: str, address: str) -> Source | None:
        trust = policy.trust_in(Principal(role, "lab", address))
        return None if trust is None else trust.end_user

    comment, setting = Source(SourceKind.COMMENT, "uid"), Source(SourceKind.SETTING, "vigie.user")
    assert [source("a", one) for one in ("10.0.3.7", "fd00::1%eth0", "unix:1000")] == [comment] * 3
    assert source("a", "10.0.4.7") is None
    assert source("b", "10.0.4.7") == setting
    assert source("c", "10.0.3.7") is None


@pytest.mark.parametrize("more", ["per: [end_user]", "per: [role, end_user]", "bound: true"])
def test_only_who_is_believed_is_counted_by_names(more: str) -> None:
    """Any other role has its own budget, and no account by what it says."""
    policy = load(more)

    assert ids_for(policy, "lims_app", "alice") == {"EX201", "EX250"}
    assert ids_for(policy, "other", "alice") == {"EX201"}


def test_what_is_done_for_nobody_named_may_have_a_limit_of_its_own() -> None:
    """``bound: false`` counts that alone."""
    policy = load("bound: false, roles: [lims_app]")

    assert ids_for(policy, "lims_app", "alice") == {"EX201"}
    assert ids_for(policy, "lims_app") == {"EX201", "EX250"}


@pytest.mark.parametrize(
    ("blocks", "more", "problem"),
    [
        (
            "",
            "per: [end_user]",
            "per end_user, but no end_users block believes any role on end_user",
        ),
        (BLOCK, "per: [application]", "per application, but no end_users block believes any role"),
        (BLOCK, "per: [end_user], roles: [lims_app, x]", "no end_users block believes role 'x'"),
        (
            "",
            "bound: true",
            "by whether an end user was named, but no end_users block believes any",
        ),
        ("end_users: [{roles: [a], why: w}]\n", "", "believes nothing, expected end_user or app"),
        (
            "end_users: [{roles: [a], end_user: {comment: u, setting: a.b}, why: w}]\n",
            "",
            "expected either comment or setting",
        ),
        (
            "end_users: [{roles: [a], end_user: {setting: search_path}, why: w}]\n",
            "",
            "search_path",
        ),
        ("end_users: [{roles: [a], end_user: {comment: 'a b'}, why: w}]\n", "", "a b"),
        ("end_users: [{roles: [], end_user: {comment: u}, why: w}]\n", "", "'roles' is an empty"),
        (
            "end_users: [{roles: $none, end_user: {comment: u}, why: w}]\n",
            "",
            "unknown list '$none'",
        ),
        (
            "end_users: [{roles: [a], addresses: [lims], end_user: {comment: u}, why: w}]\n",
            "",
            "'lims' is no address, expected one like 10.0.3.7",
        ),
        (
            BLOCK.replace("]\n", ", {roles: [lims_app], end_user: {comment: x}, why: w}]\n"),
            "",
            "role 'lims_app' is in a block above, from any address",
        ),
    ],
)
def test_problems_are_told(blocks: str, more: str, problem: str) -> None:
    """With the place, and what was expected."""
    text = blocks + (BUDGET.format(more=more) if more else "")

    with pytest.raises(ConfigurationError) as raised:
        load_with(text)

    assert problem in "\n".join(raised.value.problems)
    assert all(one.startswith("site/x.yaml:") for one in raised.value.problems)


def test_a_budget_by_names_is_none_for_all_others() -> None:
    """Whoever is not believed has that of its role alone."""
    policy = load("per: [end_user]")

    assert [one.id for one in policy.budgets_for("other")] == ["EX201"]


@pytest.mark.parametrize(
    "fact", ["{end_user: {is: x}}", "{bound: {is: false}}", "{application: {is: x}}"]
)
def test_it_is_known_whether_conditions_ask_for_whom(fact: str) -> None:
    """If none does, one judgement holds for all."""
    assert load_when(fact).asks_for_whom
    assert not load_when("{role: {is: x}}").asks_for_whom
    assert load_when("{role: {is: x}}", unless=fact).asks_for_whom
