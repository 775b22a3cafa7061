"""unittest with the XML file that Bazel asks for, one element a test method."""

import os
import sys
import time
import unittest
import xml.etree.ElementTree as ElementTree


LOG_LINES = 60


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
        ElementTree.SubElement(case, kind, message=_printable(_summary(message))).text = _printable(message)

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "error", self._with_logs(test, self.errors))

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", self._with_logs(test, self.failures))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._add(test, "failure", self._with_logs(test, self.failures if failed else self.errors))

    def _with_logs(self, test, outcomes):
        """The newest outcome's text, with the ends of the logs of the posterns that the test had."""
        where, text = outcomes[-1]
        if "the log:" not in text:
            for postern in getattr(test, "posterns", ()):
                if postern.log:
                    text += "\nthe log:\n" + "\n".join(postern.log.text().splitlines()[-LOG_LINES:]) + "\n"
            outcomes[-1] = where, text
        return text

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._add(test, "skipped", "\n" + reason)


def _summary(text):
    """The exception's own line, which is the first behind the traceback that is not indented."""
    lines = [line for line in text.splitlines()[1:] if line and not line.startswith(" ")]
    return (lines or [text])[0][:400]


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
