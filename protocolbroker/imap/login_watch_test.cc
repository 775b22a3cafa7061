#include "protocolbroker/imap/login_watch.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace postern::protocolbroker::imap {
namespace {

TEST(LoginWatchTest, SeesTheEndOfTheLogin) {
  const struct {
    const char* what;
    absl::string_view client, backend;
    bool logged_in;
  } kRows[] = {
      {"login", "a LOGIN u p\r\n", "a OK done\r\n", true},
      {"in small letters", "a login u p\r\n", "a ok done\r\n", true},
      {"after an untagged line", "a LOGIN u p\r\n", "* CAPABILITY X\r\na OK done\r\n", true},
      {"authenticate", "a AUTHENTICATE PLAIN\r\nAGEAYg==\r\n", "+ \r\na OK done\r\n", true},
      {"the second attempt", "a LOGIN u p\r\nb LOGIN u q\r\n", "a NO no\r\nb OK yes\r\n", true},
      {"a literal", "a LOGIN {1}\r\nu {1}\r\np\r\n", "+ \r\n+ \r\na OK done\r\n", true},
      {"rejected", "a LOGIN u p\r\n", "a NO no\r\n", false},
      {"another command", "a NOOP\r\n", "a OK done\r\n", false},
      {"another tag", "a LOGIN u p\r\nb NOOP\r\n", "b OK done\r\n", false},
      {"no end of the line", "a LOGIN u p\r\n", "a OK done", false},
      {"a tag that begins so", "a LOGIN u p\r\n", "ab OK done\r\n", false},
      {"nothing", "", "* OK hello\r\n", false},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.what);
    LoginWatch watch, in_pieces;
    watch.OnClient(row.client);
    watch.OnBackend(row.backend);
    EXPECT_EQ(watch.logged_in(), row.logged_in);
    for (size_t i = 0; i < row.client.size(); ++i) in_pieces.OnClient(row.client.substr(i, 1));
    for (size_t i = 0; i < row.backend.size(); ++i) in_pieces.OnBackend(row.backend.substr(i, 1));
    EXPECT_EQ(in_pieces.logged_in(), row.logged_in);
  }
}

TEST(LoginWatchTest, RemembersTheLastAttempts) {
  LoginWatch watch;
  for (int i = 0; i < 100; ++i) watch.OnClient(absl::StrCat("t", i, " LOGIN u p\r\n"));
  watch.OnBackend("t0 OK done\r\n");
  EXPECT_FALSE(watch.logged_in());
  watch.OnBackend("t99 OK done\r\n");
  EXPECT_TRUE(watch.logged_in());
}

}  // namespace
}  // namespace postern::protocolbroker::imap
