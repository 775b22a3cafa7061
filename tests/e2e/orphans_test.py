"""Processes that a backend leaves behind, out of the reach of its process group."""

import harness
from harness import eventually


class OrphansTest(harness.PosternTest):
    def check_cleaned(self, leave):
        """`leave` starts `sleep NUMBER` in some way; with the session it is over too, and that of the next one is not."""
        script = "printf '+OK\\r\\n'; %s & read line" % leave
        postern = self.start(service={"backend": ["/bin/sh", "-c", script], "environment": None})
        sleeps = lambda: postern.processes(lambda process: process.title() == "sleep 1000")
        with postern.logged_in() as client, postern.logged_in() as other:
            eventually(lambda: len(sleeps()) == 2, "both children")
            client.send(b"over\r\n")
            self.assert_closed(client)
            eventually(lambda: len(sleeps()) == 1, "the end of one child")
            self.assertTrue(eventually(sleeps, "the other child"))
            other.send(b"over\r\n")
            self.assert_closed(other)
            eventually(lambda: not sleeps(), "the end of the other")
        postern.log.wait("close", count=2)

    def test_in_a_session_of_its_own(self):
        self.check_cleaned("setsid sleep 1000 >/dev/null 2>&1 </dev/null")

    def test_twice_forked(self):
        self.check_cleaned("(setsid sh -c 'sleep 1000 & exec true' >/dev/null 2>&1 </dev/null)")

    def test_holding_the_stream(self):
        """The client is told all the same that the session is over."""
        self.check_cleaned("setsid sleep 1000")


if __name__ == "__main__":
    harness.main()
