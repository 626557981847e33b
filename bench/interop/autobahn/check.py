#!/usr/bin/env python3
"""Judges an Autobahn fuzzingclient report: check.py INDEX_JSON NUMBER_OF_CASES.

Every case must be there, and `behavior` and `behaviorClose` must both be OK. Three
cases, of which the RFC leaves the outcome open, the suite marks INFORMATIONAL in both;
only those may be. NON-STRICT is a failure like any other: 6.4.1 to 6.4.4 are NON-STRICT when
invalid UTF-8 is refused at the end of the message and not at the first bad byte.
"""
import json
import sys

INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def case_key(case):
    return [int(part) for part in case.split(".")]


def faults_of(case, result):
    """Why one case's result is not acceptable; empty when it is."""
    allowed = {"OK", "INFORMATIONAL"} if case in INFORMATIONAL else {"OK"}
    verdicts = [(name, result.get(name, "missing")) for name in ("behavior", "behaviorClose")]
    return ["%s %s" % (name, verdict) for name, verdict in verdicts if verdict not in allowed]


def judge(report, wanted):
    """(number passed, list of failures) for the one agent of a report."""
    if len(report) != 1:
        return 0, ["the report has %d agents, want 1" % len(report)]
    cases = next(iter(report.values()))
    failures = []
    for case in sorted(cases, key=case_key):
        faults = faults_of(case, cases[case])
        if faults:
            failures.append("case %s: %s" % (case, ", ".join(faults)))
    passed = len(cases) - len(failures)
    if len(cases) != wanted:
        failures.append("%d cases were run, want %d" % (len(cases), wanted))
    return passed, failures


def tally(report):
    """How often each verdict was given, for the summary line."""
    counts = {}
    for cases in report.values():
        for result in cases.values():
            verdict = "%s/%s" % (result.get("behavior"), result.get("behaviorClose"))
            counts[verdict] = counts.get(verdict, 0) + 1
    return ", ".join("%s %d" % pair for pair in sorted(counts.items()))


def main(path, wanted):
    with open(path, encoding="utf-8") as f:
        report = json.load(f)
    passed, failures = judge(report, wanted)
    for failure in failures:
        print("FAIL " + failure)
    print("autobahn behavior/behaviorClose: " + tally(report))
    print("%d passed, %d failed" % (passed, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
