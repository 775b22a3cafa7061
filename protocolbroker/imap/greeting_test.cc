#include "protocolbroker/imap/greeting.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace postern::protocolbroker::imap {
namespace {

TEST(GreetingTest, ALongListIsLeftOut) {
  std::string reply;
  const std::string line =
      absl::StrCat("* PREAUTH [CAPABILITY IMAP4rev1", std::string(kReplyOctetsMax, 'x'), "] hello");
  EXPECT_EQ(ReadGreeting(line, "t1", &reply), Greeting::kReady);
  EXPECT_EQ(reply, "t1 OK logged in");
}

TEST(GreetingTest, ALongLineBeforeItIsNotCutInTheMiddle) {
  std::string reply;
  const std::string line = absl::StrCat("* OK [X ", std::string(kReplyOctetsMax, 'x'), "] hello");
  EXPECT_EQ(ReadGreeting(line, "t1", &reply), Greeting::kMore);
  EXPECT_EQ(reply, "* OK more than can be told here");
}

TEST(GreetingTest, FollowsTheTable) {
  const char kGone[] = "* BYE the mail server is not available, try again later";
  const struct {
    absl::string_view line;
    Greeting greeting;
    absl::string_view reply;
  } kRows[] = {
      {"* PREAUTH Ready.", Greeting::kReady, "t1 OK Ready."},
      {"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] Logged in", Greeting::kReady,
       "t1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in"},
      {"* OK [ALERT] no gamin", Greeting::kMore, "* OK [ALERT] no gamin"},
      {"* BYE no Maildir", Greeting::kRefused, "* BYE no Maildir"},
      {"* PREAUTH", Greeting::kRefused, kGone},
      {"t1 OK LOGIN Ok.", Greeting::kRefused, kGone},
      {"+OK", Greeting::kRefused, kGone},
      {"", Greeting::kRefused, kGone},
  };
  for (const auto& row : kRows) {
    std::string reply;
    EXPECT_EQ(ReadGreeting(row.line, "t1", &reply), row.greeting) << std::string(row.line);
    EXPECT_EQ(reply, row.reply);
  }
}

}  // namespace
}  // namespace postern::protocolbroker::imap
