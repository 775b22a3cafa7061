"""unittest with the XML file that Bazel asks for, one element a test method."""

import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


class Result(unittest.TextTestResult):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.suite = ElementTree.Element("testsuite", name=os.environ.get("TEST_TARGET", sys.argv[0]))
        self._case = None
        self._started = 0.0

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        self._case = self._element(test)

    def stopTest(self, test):
        self._case.set("time", "%.3f" % (time.monotonic() - self._started))
        super().stopTest(test)

    def _element(self, test):
        identity = test.id().removeprefix("__main__.")
        classname, _, name = identity.rpartition(".")
        return ElementTree.SubElement(self.suite, "testcase", classname=classname, name=name)

    def _add(self, test, kind, message):
        # A failure outside any test, in setUpClass say, has no startTest.
        case = self._case if isinstance(test, unittest.TestCase) and self._case is not None else self._element(test)
        ElementTree.SubElement(case, kind, message=_printable(message.strip().splitlines()[-1][:400])).text = _printable(message)

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "error", self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._add(test, "failure", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._add(test, "skipped", reason)


def _printable(text):
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def main(module):
    """Runs the module's tests; arguments are names of some, as unittest takes them."""
    loader = unittest.defaultTestLoader
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result)
    result = runner.run(suite)
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        ElementTree.ElementTree(result.suite).write(path, encoding="utf-8", xml_declaration=True)
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
