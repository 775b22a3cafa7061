#include "protocolbroker/pop3/capabilities.h"

#include <string>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace postern::protocolbroker::pop3 {
namespace {

using Next = Interview::Next;

struct Row {
  absl::string_view lines;  // of the backend, each ends in |
  Next next;                // after the last one
  absl::string_view told;
};

const Row kRows[] = {
    {"+OK logged in.|+OK Here's what I can do:|TOP|USER|LOGIN-DELAY 10|.|", Next::kDone, "TOP|USER|LOGIN-DELAY 10"},
    {"+OK|+OK|.|", Next::kDone, ""},
    {"+OK|+OK|TOP|", Next::kMore, "TOP"},
    {"+OK <1.2@host>|-ERR authorization first|", Next::kRefused, ""},  // qmail-popup
    {"-ERR no|", Next::kRefused, ""},
    {"|", Next::kRefused, ""},
    {"* OK IMAP ready|", Next::kRefused, ""},
    {"+OK|TOP|", Next::kRefused, ""},
    {"+OK|+OK|..|.|", Next::kDone, ".."},  // whoever filters it takes it for no capability
};

TEST(CapaInterviewTest, FollowsTheTable) {
  for (const Row& row : kRows) {
    CapaInterview interview;
    std::vector<absl::string_view> lines = absl::StrSplit(row.lines, '|');
    lines.pop_back();
    Next next = interview.OnGreeting(lines[0]);
    for (size_t i = 1; i < lines.size() && next == Next::kMore; ++i) next = interview.OnLine(lines[i]);
    EXPECT_EQ(next, row.next) << row.lines;
    EXPECT_EQ(absl::StrJoin(interview.told(), "|"), row.told) << row.lines;
  }
}

TEST(CapaInterviewTest, AListWithoutEnd) {
  CapaInterview interview;
  interview.OnGreeting("+OK");
  interview.OnLine("+OK");
  int lines = 0;
  while (interview.OnLine("TOP") == Next::kMore) ++lines;
  EXPECT_EQ(lines, 100);
}

}  // namespace
}  // namespace postern::protocolbroker::pop3
