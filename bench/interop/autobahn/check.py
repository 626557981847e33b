#!/usr/bin/env python3
"""Judges the reports of Autobahn, of either side: check.py NUMBER_OF_CASES INDEX_JSON...

The reports are parts of one run. Every case must be there, in one of them, and `behavior` and `behaviorClose` must both be OK. Three
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


def merge(reports):
    """(the cases of all reports, list of failures) of reports with one agent each, the same."""
    agents = {agent for report in reports for agent in report}
    if len(agents) != 1:
        return {}, ["the reports have %d agents, want 1" % len(agents)]
    cases, failures = {}, []
    for report in reports:
        for agent in report:
            failures += ["case %s was run twice" % case for case in report[agent] if case in cases]
            cases.update(report[agent])
    return cases, failures


def judge(reports, wanted):
    """(number passed, list of failures)"""
    cases, failures = merge(reports)
    failed = 0
    for case in sorted(cases, key=case_key):
        faults = faults_of(case, cases[case])
        if faults:
            failed += 1
            failures.append("case %s: %s" % (case, ", ".join(faults)))
    if len(cases) != wanted:
        failures.append("%d cases were run, want %d" % (len(cases), wanted))
    return len(cases) - failed, failures


def tally(reports):
    """How often each verdict was given, for the summary line."""
    counts = {}
    for result in merge(reports)[0].values():
        verdict = "%s/%s" % (result.get("behavior"), result.get("behaviorClose"))
        counts[verdict] = counts.get(verdict, 0) + 1
    return ", ".join("%s %d" % pair for pair in sorted(counts.items()))


def read(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def main(wanted, paths):
    reports = [read(path) for path in paths]
    passed, failures = judge(reports, wanted)
    for failure in failures:
        print("FAIL " + failure)
    print("autobahn behavior/behaviorClose: " + tally(reports))
    print("%d passed, %d failed" % (passed, len(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
