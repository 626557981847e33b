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
        return check.judge([report], wanted)[1]

    def test_a_good_report_passes(self):
        self.assertEqual(check.judge([good_report()], len(CASES)), (len(CASES), []))

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
        self.assertEqual(len(check.judge([], 0)[1]), 1)
        self.assertEqual(len(check.judge([{}], 0)[1]), 1)
        report["another"] = report["gannet"]
        self.assertEqual(len(check.judge([report], 0)[1]), 1)

    def parts(self):
        """The good report, cut in two."""
        parts = [good_report(), good_report()]
        for i, case in enumerate(CASES):
            del parts[i % 2]["gannet"][case]
        return parts

    def test_parts_make_a_whole(self):
        self.assertEqual(check.judge(self.parts(), len(CASES)), (len(CASES), []))

    def test_a_missing_or_empty_part_fails(self):
        one, two = self.parts()
        for parts in ([one], [two], [one, {"gannet": {}}], [one, {}]):
            self.assertEqual(check.judge(parts, len(CASES))[1], ["5 cases were run, want 10"])

    def test_a_failure_in_any_part_fails(self):
        for i, part in enumerate(self.parts()):
            parts = self.parts()
            case = min(part["gannet"])
            parts[i]["gannet"][case]["behavior"] = "FAILED"
            self.assertEqual(check.judge(parts, len(CASES)), (len(CASES) - 1, ["case %s: behavior FAILED" % case]))

    def test_a_case_in_two_parts_fails(self):
        one, two = self.parts()
        two["gannet"]["2.10"] = one["gannet"]["2.10"] = dict(good_report()["gannet"]["2.10"])
        self.assertEqual(check.judge([one, two], len(CASES))[1], ["case 2.10 was run twice"])

    def test_parts_of_different_agents_fail(self):
        one, two = self.parts()
        two["another"] = two.pop("gannet")
        self.assertEqual(len(check.judge([one, two], 0)[1]), 1)

    def test_the_exit_status_tells(self):
        report = good_report()
        self.assertEqual(self.run_main(report), 0)
        report["gannet"]["6.4.3"]["behavior"] = "NON-STRICT"
        self.assertEqual(self.run_main(report), 1)

    def test_the_last_of_several_files_counts(self):
        one, two = self.parts()
        self.assertEqual(self.run_main(one, two), 0)
        two["gannet"][min(two["gannet"])]["behaviorClose"] = "UNCLEAN"
        self.assertEqual(self.run_main(one, two), 1)

    def run_main(self, *reports):
        with tempfile.TemporaryDirectory() as folder:
            paths = [os.path.join(folder, "%d.json" % i) for i in range(len(reports))]
            for path, report in zip(paths, reports):
                with open(path, "w", encoding="utf-8") as f:
                    json.dump(report, f)
            with contextlib.redirect_stdout(io.StringIO()):
                return check.main(len(CASES), paths)


if __name__ == "__main__":
    unittest.main()
