#include "protocolbroker/imap/command.h"

#include <gtest/gtest.h>

#include <limits>

namespace postern::protocolbroker::imap {
namespace {

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

TEST(AnnouncementTest, FollowsTheTable) {
  const struct {
    absl::string_view line;
    bool found;
    uint64_t octets;
    bool synchronizing;
  } kRows[] = {
      {"LOGIN {5}", true, 5, true},
      {"LOGIN {5+}", true, 5, false},
      {"{0}", true, 0, true},
      {"LOGIN u {007+}", true, 7, false},
      {"{2147483648}", true, 2147483648u, true},
      {"{9223372036854775808}", true, 9223372036854775808u, true},
      {"{18446744073709551615+}", true, kHuge, false},
      {"{18446744073709551616+}", true, kHuge, false},  // 2^64
      {"{99999999999999999999999999999999}", true, kHuge, true},
      {"LOGIN \"a b\" {5}", true, 5, true},
      {"LOGIN \"a\\\"b\" {5}", true, 5, true},
      {"LOGIN \"a\\\\\" {5}", true, 5, true},
      {"LOGIN \"{5}\"", false, 0, false},
      {"LOGIN \"{5}", false, 0, false},  // inside quotes that never end
      {"LOGIN \"\\\" {5}", false, 0, false},
      {"{5}\"", false, 0, false},
      {"{5} ", false, 0, false},
      {"{}", false, 0, false},
      {"{+}", false, 0, false},
      {"{-1}", false, 0, false},
      {"{+5}", false, 0, false},
      {"{5++}", false, 0, false},
      {"{ 5}", false, 0, false},
      {"{0x5}", false, 0, false},
      {"5}", false, 0, false},
      {"}", false, 0, false},
      {"{5", false, 0, false},
      {"", false, 0, false},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(std::string(row.line));
    const std::optional<Announcement> announcement = FindAnnouncement(row.line);
    ASSERT_EQ(announcement.has_value(), row.found);
    if (!row.found) continue;
    EXPECT_EQ(announcement->octets, row.octets);
    EXPECT_EQ(announcement->synchronizing, row.synchronizing);
    EXPECT_EQ(announcement->announce_octets, row.line.size() - row.line.rfind('{'));
  }
}

TEST(TagTest, FollowsTheTable) {
  const struct {
    absl::string_view line, tag;
  } kRows[] = {
      {"a1 NOOP", "a1"},
      {"a1", "a1"},
      {"A.~!#$&'-/:;<=>?@[]^_`|} X", "A.~!#$&'-/:;<=>?@[]^_`|}"},
      {" NOOP", ""},
      {"", ""},
      {"* NOOP", ""},
      {"+ NOOP", ""},
      {"a+ NOOP", ""},
      {"a*b NOOP", ""},
      {"a\"b NOOP", ""},
      {"a(b NOOP", ""},
      {"a{5} NOOP", ""},
      {"a%b NOOP", ""},
      {"a\\b NOOP", ""},
      {"\xc3\xa4 NOOP", ""},
      {"a\tNOOP", ""},
      {"12345678 X", "12345678"},
      {"123456789 X", ""},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(FindTag(row.line, row.tag.size() > 8 ? 62 : 8), row.tag) << std::string(row.line);
}

// Pieces of text and, in braces, literals.
void Fill(Command& command, const std::vector<absl::string_view>& pieces) {
  for (absl::string_view piece : pieces) {
    if (!piece.empty() && piece.front() == '{')
      command.AddLiteral(piece.substr(1, piece.size() - 2));
    else
      command.AddText(piece);
  }
}

TEST(ArgumentsTest, ReadsAStrings) {
  const struct {
    std::vector<absl::string_view> pieces;
    bool good;
    absl::string_view value;
  } kRows[] = {
      {{"atom"}, true, "atom"},
      {{"a]b+c"}, true, "a]b+c"},
      {{"\"quoted string\""}, true, "quoted string"},
      {{"\"\""}, true, ""},
      {{"\"a\\\"b\\\\c\""}, true, "a\"b\\c"},
      {{"\"\xc3\xa4\""}, true, "\xc3\xa4"},  // RFC 9051 §9, QUOTED-CHAR
      {{"{literal}"}, true, "literal"},
      {{"{}"}, true, ""},
      {{"{a STARTTLS\r\n}"}, true, "a STARTTLS\r\n"},
      {{"{one}", "{two}"}, false, ""},
      {{"{one}", "x"}, false, ""},
      {{"x", "{one}"}, false, ""},
      {{"\"a\\n\""}, false, ""},
      {{"\"a\\"}, false, ""},
      {{"\"open"}, false, ""},
      {{"\"open", "{one}"}, false, ""},  // a quoted string ends where a literal begins
      {{"a\"b"}, false, ""},
      {{"\"a\"b"}, false, ""},
      {{"\xc3\xa4"}, false, ""},
      {{"(a)"}, false, ""},
      {{"a*"}, false, ""},
      {{"%"}, false, ""},
      {{"a\\b"}, false, ""},
      {{"x{5}"}, false, ""},
      {{" a"}, false, ""},
      {{""}, false, ""},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(std::string(row.pieces[0]));
    Command command(100);
    Fill(command, row.pieces);
    Arguments arguments(command);
    std::string value;
    EXPECT_EQ(arguments.AString(&value) && arguments.AtEnd(), row.good);
    if (row.good) {
      EXPECT_EQ(value, row.value);
    }
  }
}

TEST(ArgumentsTest, ReadsALogin) {
  Command command(100);
  Fill(command, {"LOGIN ", "{us er}", " \"pass word\""});
  EXPECT_EQ(command.verb(), "LOGIN");
  Arguments arguments(command);
  absl::string_view verb;
  std::string user, password;
  ASSERT_TRUE(arguments.Atom(&verb));
  EXPECT_TRUE(arguments.Take(' '));
  EXPECT_TRUE(arguments.AString(&user));
  EXPECT_FALSE(arguments.AtEnd());
  EXPECT_TRUE(arguments.Take(' '));
  EXPECT_TRUE(arguments.AString(&password));
  EXPECT_TRUE(arguments.AtEnd());
  EXPECT_EQ(user, "us er");
  EXPECT_EQ(password, "pass word");
}

TEST(ArgumentsTest, ALiteralIsNoText) {
  Command command(100);
  Fill(command, {"LOGIN", "{ a b}"});
  EXPECT_EQ(command.verb(), "LOGIN");
  Arguments arguments(command);
  absl::string_view verb;
  ASSERT_TRUE(arguments.Atom(&verb));
  EXPECT_EQ(verb, "LOGIN");
  EXPECT_FALSE(arguments.Take(' '));
  EXPECT_FALSE(arguments.AtEnd());
}

TEST(ArgumentsTest, ReadsNStrings) {
  for (absl::string_view good : {"NIL", "nil", "\"a\"", "{a}"}) {
    Command command(100);
    Fill(command, {good});
    Arguments arguments(command);
    EXPECT_TRUE(arguments.NString() && arguments.AtEnd()) << std::string(good);
  }
  for (absl::string_view bad : {"NI", "a", "", "(", " NIL"}) {
    Command command(100);
    Fill(command, {bad});
    Arguments arguments(command);
    EXPECT_FALSE(arguments.NString() && arguments.AtEnd()) << std::string(bad);
  }
}

}  // namespace
}  // namespace postern::protocolbroker::imap
