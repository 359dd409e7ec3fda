"""Decide which fault applies to a request.

In: a request's operation and subject. Out: the rule, or None. Chance is a hash of the seed, the rule, the request's
subject (type, name and host for a create, the ID if the path has one) and the number of earlier requests for that
subject. So with one seed each monitor meets the same faults, whatever the order in which concurrent requests arrive.
Counting starts when a schedule is created.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

from bulkload.sandbox.faults import Faults, Operation, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The part of a request on which chance depends."""

    operation: Operation
    key: str = ""  # distinguishes the subjects of one operation
    name: str = ""  # of the monitor, for a create


class Schedule:
    """One schedule of faults and its counters."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._requests: Counter[Operation] = Counter()
        self._attempts: Counter[tuple[Operation, str]] = Counter()
        self._strikes: Counter[int] = Counter()

    def strike(self, subject: Subject) -> Rule | None:
        """Count the request; returns the first rule that applies to it."""
        if not self.faults.rules:
            return None
        self._requests[subject.operation] += 1
        self._attempts[subject.operation, subject.key] += 1
        for index, rule in enumerate(self.faults.rules):
            if self._holds(index, rule, subject):
                self._strikes[index] += 1
                return rule
        return None

    def _holds(self, index: int, rule: Rule, subject: Subject) -> bool:
        number = self._requests[subject.operation]
        attempt = self._attempts[subject.operation, subject.key]
        return (
            subject.operation in rule.operations
            and (not rule.at or number in rule.at)
            and (not rule.every or number % rule.every == 0)
            and (not rule.names or (subject.operation == "create" and subject.name in rule.names))
            and (not rule.attempts or attempt <= rule.attempts)
            and (not rule.times or self._strikes[index] < rule.times)
            and (rule.probability >= 1.0 or chance(self.faults.seed, index, subject, attempt) < rule.probability)
        )


def chance(seed: int, index: int, subject: Subject, attempt: int) -> float:
    """A number from 0 up to 1 that depends only on the arguments."""
    text = f"{seed}\n{index}\n{subject.operation}\n{attempt}\n{subject.key}"
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
