"""The checker must refuse every way a report can be wrong."""
import contextlib
import copy
import io
import json
import os
import tempfile
import unittest

import check

FAIL_FAST = ["6.4.1", "6.4.2", "6.4.3", "6.4.4"]
CASES = ["1.1.1", "2.10", "7.1.6", "7.13.1", "7.13.2", "10.1.1"] + FAIL_FAST


def good_report():
    result = {"behavior": "OK", "behaviorClose": "OK", "duration": 1, "remoteCloseCode": 1000}
    report = {"gannet": {case: dict(result) for case in CASES}}
    for case in check.INFORMATIONAL:
        report["gannet"][case].update(behavior="INFORMATIONAL", behaviorClose="INFORMATIONAL")
    return report


class CheckTest(unittest.TestCase):
    def failures(self, change=lambda cases: None, wanted=len(CASES)):
        report = copy.deepcopy(good_report())
        change(report["gannet"])
        passed, failures = check.judge(report, wanted)
        return failures

    def test_a_good_report_passes(self):
        self.assertEqual(check.judge(good_report(), len(CASES)), (len(CASES), []))

    def test_every_other_verdict_fails_every_case(self):
        for case in CASES:
            for verdict in ["FAILED", "NON-STRICT", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "INFORMATIONAL", ""]:
                if verdict == "INFORMATIONAL" and case in check.INFORMATIONAL:
                    continue
                found = self.failures(lambda cases: cases[case].update(behavior=verdict))
                self.assertEqual(len(found), 1, (case, verdict))
                self.assertIn(case, found[0])

    def test_every_closing_verdict_but_ok_fails(self):
        for case in CASES:
            for verdict in ["FAILED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "INFORMATIONAL", "NON-STRICT"]:
                if verdict == "INFORMATIONAL" and case in check.INFORMATIONAL:
                    continue
                self.assertEqual(len(self.failures(lambda cases: cases[case].update(behaviorClose=verdict))), 1)

    def test_a_missing_verdict_fails(self):
        self.assertEqual(len(self.failures(lambda cases: cases["2.10"].pop("behavior"))), 1)
        self.assertEqual(len(self.failures(lambda cases: cases["2.10"].pop("behaviorClose"))), 1)

    def test_a_missing_case_fails(self):
        self.assertEqual(self.failures(lambda cases: cases.pop("2.10")), ["9 cases were run, want 10"])

    def test_a_case_too_many_fails(self):
        self.assertEqual(self.failures(wanted=len(CASES) - 1), ["10 cases were run, want 9"])

    def test_no_agent_or_two_fail(self):
        report = good_report()
        self.assertEqual(len(check.judge({}, 0)[1]), 1)
        report["another"] = report["gannet"]
        self.assertEqual(len(check.judge(report, len(CASES))[1]), 1)

    def test_the_exit_status_tells(self):
        report = good_report()
        self.assertEqual(self.run_main(report), 0)
        report["gannet"]["6.4.3"]["behavior"] = "NON-STRICT"
        self.assertEqual(self.run_main(report), 1)

    def run_main(self, report):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump(report, f)
            with contextlib.redirect_stdout(io.StringIO()):
                return check.main(path, len(CASES))


if __name__ == "__main__":
    unittest.main()
