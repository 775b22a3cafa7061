#include "protocolbroker/imap/capabilities.h"

#include <string>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace postern::protocolbroker::imap {
namespace {

using Next = Interview::Next;

struct Row {
  absl::string_view lines;  // of the backend, each ends in |
  Next next;                // after the last one
  absl::string_view told;
};

const Row kRows[] = {
    {"* PREAUTH Ready.|* CAPABILITY IMAP4rev1 ENABLE|p OK done|", Next::kDone, "IMAP4rev1 ENABLE"},
    {"* OK [CAPABILITY IMAP4rev1 ID] hello|* CAPABILITY IMAP4rev1 IDLE|p OK done|", Next::kDone, "IMAP4rev1 IDLE"},
    {"* PREAUTH [CAPABILITY IMAP4rev1 ID] hello|p BAD what|", Next::kDone, "IMAP4rev1 ID"},
    {"* PREAUTH [CAPABILITY IMAP4rev1 ID] hello|", Next::kMore, "IMAP4rev1 ID"},
    // courier without gam_server
    {"* OK [ALERT] Filesystem notification|* PREAUTH Ready.|* CAPABILITY A|p OK done|", Next::kDone, "A"},
    {"* OK [ALERT] Filesystem notification|* PREAUTH [CAPABILITY A] Ready.|p BAD no|", Next::kDone, "A"},
    {"* ok|* capability  A  B|P ok|", Next::kDone, "A B"},
    {"* OK|* STATUS x|+ go on|q OK other|* CAPABILITY A|p OK|", Next::kDone, "A"},
    {"* OK|p OK done|", Next::kRefused, ""},
    {"* OK|p NO no|", Next::kRefused, ""},
    {"* OK [CAPABILITY A|p OK|", Next::kRefused, ""},
    {"* OK [CAPABILITYX A] x|p OK|", Next::kRefused, ""},
    {"* OK|* CAPABILITY A|* BYE|", Next::kRefused, "A"},
    {"* BYE busy|", Next::kRefused, ""},
    {"* OKAY|", Next::kRefused, ""},
    {"+OK POP3|", Next::kRefused, ""},
    {"|", Next::kRefused, ""},
};

TEST(CapabilityInterviewTest, FollowsTheTable) {
  for (const Row& row : kRows) {
    CapabilityInterview interview;
    std::vector<absl::string_view> lines = absl::StrSplit(row.lines, '|');
    lines.pop_back();
    Next next = interview.OnGreeting(lines[0]);
    for (size_t i = 1; i < lines.size() && next == Next::kMore; ++i) next = interview.OnLine(lines[i]);
    EXPECT_EQ(next, row.next) << row.lines;
    EXPECT_EQ(absl::StrJoin(interview.told(), " "), row.told) << row.lines;
  }
}

TEST(CapabilityInterviewTest, LinesWithoutEnd) {
  CapabilityInterview interview;
  interview.OnGreeting("* OK");
  int lines = 0;
  while (interview.OnLine("* CAPABILITY A") == Next::kMore) ++lines;
  EXPECT_EQ(lines, 100);
}

}  // namespace
}  // namespace postern::protocolbroker::imap
