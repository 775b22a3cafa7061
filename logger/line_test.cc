#include "logger/line.h"

#include <gtest/gtest.h>

namespace postern::logger {
namespace {

TEST(LineTest, StampsAndMakesHarmless) {
  const struct {
    absl::string_view role, record, line;
  } kRows[] = {
      {"tlsworker", "session=7f3a ev=tls cipher=X", "role=tlsworker pid=4711 session=7f3a ev=tls cipher=X\n"},
      {"tlsworker", "ev=x\nrole=acceptor pid=1 ev=forged",
       "role=tlsworker pid=4711 ev=x\\x0arole=acceptor pid=1 ev=forged\n"},
      {"tlsworker", "ev=\x1b]0;\x07\xff", "role=tlsworker pid=4711 ev=\\x1b]0;\\x07\\xff\n"},
      {"tlsworker", "", "role=tlsworker pid=4711 \n"},
      {"backend", "chdir failed\n", "role=backend pid=4711 ev=stderr text=\"chdir failed\"\n"},
      {"backend", "a\"\nb\\ role=x\n", "role=backend pid=4711 ev=stderr text=\"a\\x22\\x0ab\\x5c role=x\"\n"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Line(row.role, 4711, row.record), row.line);
}

}  // namespace
}  // namespace postern::logger
