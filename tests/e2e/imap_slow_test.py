"""IMAP clients that are slow or deaf."""

import dialect
import harness
import patience


class SlowTest(dialect.Imap, patience.Slow, harness.PosternTest):
    pass


if __name__ == "__main__":
    harness.main()
