#include "capabilities/rules.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"

namespace postern::capabilities {
namespace {

struct Row {
  absl::string_view capability;
  Verdict verdict;
};

TEST(RulesTest, Pop3) {
  const Row kRows[] = {
      {"TOP", Verdict::kGood},
      {"LOGIN-DELAY 900", Verdict::kGood},
      {"IMPLEMENTATION Courier Mail Server", Verdict::kGood},
      {"PIPELINING", Verdict::kOwn},
      {"RESP-CODES", Verdict::kOwn},
      {"SASL PLAIN", Verdict::kOwn},
      {"STLS", Verdict::kOwn},
      {"USER", Verdict::kOwn},
      {"UTF8 USER", Verdict::kBeforeLogin},
      {"LANG", Verdict::kBeforeLogin},
      {"", Verdict::kMalformed},
      {"top", Verdict::kMalformed},
      {"TOP ", Verdict::kMalformed},
      {"TOP  A", Verdict::kMalformed},
      {"TOP\tA", Verdict::kMalformed},
      {absl::string_view("TOP\0", 4), Verdict::kMalformed},
      {"TOP \xc3\xbc", Verdict::kMalformed},
      {".", Verdict::kMalformed},
  };
  for (const Row& row : kRows) EXPECT_EQ(JudgePop3(row.capability, false), row.verdict) << row.capability;
  for (const char* bears_out : {"SASL PLAIN", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"})
    EXPECT_EQ(JudgePop3(bears_out, true), Verdict::kGood) << bears_out;
  EXPECT_EQ(JudgePop3("STLS", true), Verdict::kOwn);
  EXPECT_EQ(JudgePop3(absl::StrCat("X ", std::string(508, 'x')), false), Verdict::kGood);
  EXPECT_EQ(JudgePop3(absl::StrCat("X ", std::string(509, 'x')), false), Verdict::kMalformed);
}

TEST(RulesTest, Imap) {
  const Row kRows[] = {
      {"IMAP4rev1", Verdict::kGood},
      {"THREAD=REFERENCES", Verdict::kGood},
      {"LITERAL+", Verdict::kGood},
      {"STARTTLS", Verdict::kOwn},
      {"starttls", Verdict::kOwn},
      {"LOGINDISABLED", Verdict::kOwn},
      {"AUTH=PLAIN", Verdict::kOwn},
      {"auth=cram-md5", Verdict::kOwn},
      {"SASL-IR", Verdict::kOwn},
      {"LOGIN-REFERRALS", Verdict::kOwn},
      {"LANGUAGE", Verdict::kBeforeLogin},
      {"", Verdict::kMalformed},
      {"A B", Verdict::kMalformed},
      {"A]", Verdict::kMalformed},
      {"{5}", Verdict::kMalformed},
      {"\"A\"", Verdict::kMalformed},
      {absl::string_view("A\0B", 3), Verdict::kMalformed},
      {"\xc3\xbc", Verdict::kMalformed},
  };
  for (const Row& row : kRows) EXPECT_EQ(JudgeImap(row.capability), row.verdict) << row.capability;
  EXPECT_EQ(JudgeImap(std::string(64, 'X')), Verdict::kGood);
  EXPECT_EQ(JudgeImap(std::string(65, 'X')), Verdict::kMalformed);
}

std::string Pop3(absl::string_view told, bool backend_login) {
  return absl::StrJoin(KeepPop3(absl::StrSplit(told, '|', absl::SkipEmpty()), backend_login), "|");
}
std::string Imap(absl::string_view told) {
  return absl::StrJoin(KeepImap(absl::StrSplit(told, ' ', absl::SkipEmpty())), " ");
}

TEST(RulesTest, KeepsOfWhatIsTold) {
  EXPECT_EQ(Pop3("TOP|USER|LOGIN-DELAY 10|PIPELINING|UIDL|UTF8 USER|top|TOP again", false), "TOP|LOGIN-DELAY 10|UIDL");
  EXPECT_EQ(Pop3("TOP|USER|SASL PLAIN|STLS|PIPELINING", true), "TOP|SASL PLAIN|PIPELINING");
  EXPECT_EQ(Pop3("A|B|C|D|E|F|G|H|I|J|K|L|M|N", false), "A|B|C|D|E|F|G|H|I|J|K|L");
  EXPECT_EQ(Pop3("", false), "");
  EXPECT_EQ(Imap("IMAP4rev1 SASL-IR AUTH=PLAIN IDLE idle LITERAL+ STARTTLS"), "IMAP4rev1 IDLE LITERAL+");
  EXPECT_EQ(Imap("IMAP4rev2 ID"), "IMAP4rev2 ID");
  EXPECT_EQ(Imap("IDLE"), "IMAP4rev1 IDLE");
  EXPECT_EQ(Imap("STARTTLS"), "IMAP4rev1");
  EXPECT_EQ(Imap(""), "");
}

TEST(RulesTest, AListOfAnyLengthFitsIntoAGreeting) {
  std::string told;
  for (int i = 100; i < 300; ++i) absl::StrAppend(&told, i, std::string(61, 'x'), " ");
  const std::string kept = Imap(told);
  EXPECT_TRUE(absl::StartsWith(kept, "IMAP4rev1 100x"));
  EXPECT_EQ(std::count(kept.begin(), kept.end(), ' '), 63);
  EXPECT_LT(kept.size(), 5000u);
}

}  // namespace
}  // namespace postern::capabilities
