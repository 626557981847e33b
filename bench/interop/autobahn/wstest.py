"""Runs the Autobahn test suite from the folder it was installed into (Python 2.7).

addsitedir, and not PYTHONPATH, because the zope namespace package is found through
a .pth file. The first argument is the folder, the rest is wstest's own.
"""
import site
import sys

site.addsitedir(sys.argv[1])
sys.argv[0:2] = ["wstest"]

from autobahntestsuite import wstest  # noqa: E402

wstest.run()
