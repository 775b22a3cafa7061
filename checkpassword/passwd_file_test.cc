#include "checkpassword/passwd_file.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace postern::checkpassword {
namespace {

constexpr uid_t kUidMin = 100;

// Whole hashes in form; none of these tests computes one.
const std::string kYescrypt = "$y$j9T$saltsalt$" + std::string(43, 'a');
const std::string kGost = "$gy$j9T$saltsalt$" + std::string(43, 'a');
const std::string kBcrypt = "$2b$12$" + std::string(53, 'b');
const std::string kSha256 = "$5$saltsalt$" + std::string(43, 'c');
const std::string kSha512 = "$6$saltsalt$" + std::string(86, 'd');
const std::string kSha512Rounds = "$6$rounds=9000$saltsalt$" + std::string(86, 'e');

TEST(HashKindTest, IsMethodAndCost) {
  const struct {
    std::string hash;
    absl::string_view kind;
  } kRows[] = {
      {kYescrypt, "$y$j9T$"},
      {kGost, "$gy$j9T$"},
      {kBcrypt, "$2b$12$"},
      {"$2a$05$" + std::string(53, '.'), "$2a$05$"},
      {"$2y$05$" + std::string(53, '/'), "$2y$05$"},
      {kSha256, "$5$"},
      {kSha512, "$6$"},
      {kSha512Rounds, "$6$rounds=9000$"},
      // Not accepted: nothing, DES, MD5, SHA-1, scrypt, NT, bcrypt with sign extension.
      {"", ""},
      {"abJnggxhB/yWI", ""},
      {"_J9..CCCCXBrJUJV154M", ""},
      {"$1$saltsalt$" + std::string(22, 'a'), ""},
      {"$sha1$248488$saltsalt$" + std::string(28, 'a'), ""},
      {"$7$CU..../....saltsalt$" + std::string(43, 'a'), ""},
      {"$3$$" + std::string(32, 'a'), ""},
      {"$2x$05$" + std::string(53, 'a'), ""},
      // Not whole.
      {"$", ""},
      {"$y$", ""},
      {"$y$j9T$", ""},
      {"$y$j9T$saltsalt", ""},
      {"$y$j9T$saltsalt$", ""},
      {"$y$$saltsalt$" + std::string(43, 'a'), ""},
      {"$y$j9T$$" + std::string(43, 'a'), ""},
      {kYescrypt + "a", ""},
      {"$y$j9T$saltsalt$" + std::string(42, 'a'), ""},
      {"$y$j9T$saltsalt$" + std::string(42, 'a') + "-", ""},
      {"$2b$12$", ""},
      {"$2b$1x$" + std::string(53, 'b'), ""},
      {"$2b$12." + std::string(53, 'b'), ""},
      {"$2b$12$" + std::string(52, 'b'), ""},
      {"$6$" + std::string(86, 'd'), ""},
      {"$6$saltsalt$" + std::string(85, 'd'), ""},
      {"$6$rounds=9000$" + std::string(86, 'd'), ""},
      {"$5$saltsalt$" + std::string(86, 'd'), ""},
  };
  for (const auto& row : kRows) EXPECT_EQ(HashKind(row.hash), row.kind) << row.hash;
}

// One line of a user "u", and what becomes of a login as "u".
TEST(FindLoginTest, ReadsALine) {
  const struct {
    std::string line;
    Found found;
    std::string home;
  } kRows[] = {
      {"u:{CRYPT}" + kYescrypt + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{CRYPT}" + kBcrypt + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{crypt}" + kGost + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:" + kYescrypt + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{BLF-CRYPT}" + kBcrypt + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{SHA256-CRYPT}" + kSha256 + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{SHA512-CRYPT}" + kSha512 + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      {"u:{sha512-crypt}" + kSha512Rounds + ":1000:1001::/home/u", Found::kUser, "/home/u"},
      // What is in the fields that are not used.
      {"u:" + kSha512 + ":1000:1001:U. Ser,,:/home/u:/bin/false", Found::kUser, "/home/u"},
      {"u:" + kSha512 + ":1000:1001::/home/u:", Found::kUser, "/home/u"},
      {"u:" + kSha512 + ":1000:1001::/home/u::userdb_quota_rule=*:storage=1G allow_nets=::1", Found::kUser, "/home/u"},
      {"u:" + kSha512 + ":1000:1001::/", Found::kUser, "/"},
      {"u:" + kSha512 + ":1000:1001::/h\xc3\xb6me u", Found::kUser, "/h\xc3\xb6me u"},
      // Locked, with the hash kept or without.
      {"u:!:1000:1001::/home/u", Found::kLocked, "/home/u"},
      {"u:*:1000:1001::/home/u", Found::kLocked, "/home/u"},
      {"u:{CRYPT}!" + kSha512 + ":1000:1001::/home/u", Found::kLocked, "/home/u"},
      {"u:!{CRYPT}" + kSha512 + ":1000:1001::/home/u", Found::kLocked, "/home/u"},
      {"u:{BLF-CRYPT}*:1000:1001::/home/u", Found::kLocked, "/home/u"},
      // Passwords that are refused.
      {"u:{PLAIN}secret:1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{PLAIN}" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{}" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{CRYPT" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{CRYPT.b64}" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{MD5-CRYPT}$1$saltsalt$" + std::string(22, 'a') + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{CRYPT}$1$saltsalt$" + std::string(22, 'a') + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{CRYPT}abJnggxhB/yWI:1000:1001::/home/u", Found::kFaulty, ""},
      {"u:secret:1000:1001::/home/u", Found::kFaulty, ""},
      {"u::1000:1001::/home/u", Found::kFaulty, ""},
      {"u:x:1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{BLF-CRYPT}" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{SHA512-CRYPT}" + kSha256 + ":1000:1001::/home/u", Found::kFaulty, ""},
      {"u:{SHA256-CRYPT}" + kSha512 + ":1000:1001::/home/u", Found::kFaulty, ""},
      // Ids.
      {"u:" + kSha512 + ":100:0::/home/u", Found::kUser, "/home/u"},  // gid 0: Become() decides
      {"u:" + kSha512 + ":4294967294:1001::/home/u", Found::kUser, "/home/u"},
      {"u:" + kSha512 + ":4294967295:1001::/home/u", Found::kFaulty, ""},  // (uid_t)-1
      {"u:" + kSha512 + ":1000:4294967295::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":4294968296:1001::/home/u", Found::kFaulty, ""},  // 1000 modulo 2^32
      {"u:" + kSha512 + ":0:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":00:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":99:1001::/home/u", Found::kFaulty, ""},
      {"u:!:0:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + "::1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":+1000:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ": 1000:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":-1000:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":0x3e8:1001::/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":mail:1001::/home/u", Found::kFaulty, ""},
      // Homes, and lines that are cut off.
      {"u:" + kSha512 + ":1000:1001::", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001::home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001:/home/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001", Found::kFaulty, ""},
      {"u:" + kSha512, Found::kFaulty, ""},
      {"u:", Found::kFaulty, ""},
      {"u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001::/home/u\r", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001::/home\t/u", Found::kFaulty, ""},
      {"u:" + kSha512 + ":1000:1001::/home" + std::string(1, '\0') + "/u", Found::kFaulty, ""},
      // Not u's lines at all.
      {"", Found::kUnknown, ""},
      {"#u:" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
      {"U:" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
      {" u:" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
      {"u :" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
      {"uu:" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
      {"u\xcc\x88:" + kSha512 + ":1000:1001::/home/u", Found::kUnknown, ""},
  };
  for (const auto& row : kRows) {
    // With a line end and without, alone and among others.
    const std::string others = "# a comment\n\n \t\na:" + kSha512 + ":1000:1000::/home/a\n";
    for (const std::string& text :
         {row.line, row.line + "\n", others + row.line, others + row.line + "\nb:" + kBcrypt + ":100:100::/home/b"}) {
      const Lookup lookup = FindLogin(text, "u", kUidMin);
      EXPECT_EQ(lookup.found, row.found) << text;
      EXPECT_EQ(lookup.home, row.home) << text;
      EXPECT_EQ(lookup.own_fault.text.empty(), row.found != Found::kFaulty) << text;
      EXPECT_FALSE(lookup.hashes.empty()) << text;
    }
  }
}

TEST(FindLoginTest, GivesTheUsersOwn) {
  const std::string text =
      absl::StrCat("a:", kBcrypt, ":1000:1001::/home/a\n# x\nb:{CRYPT}", kYescrypt, ":2000:2001:B:/home/b:/bin/sh\n");
  const Lookup b = FindLogin(text, "b", kUidMin);
  ASSERT_EQ(b.found, Found::kUser);
  EXPECT_EQ(b.line, 3u);
  EXPECT_EQ(b.uid, 2000u);
  EXPECT_EQ(b.gid, 2001u);
  EXPECT_EQ(b.home, "/home/b");
  EXPECT_EQ(b.hashes[b.own_hash], kYescrypt);
  EXPECT_TRUE(b.faults.empty());
}

TEST(FindLoginTest, DoesNotKnowLoginsThatNoLineCanHave) {
  const std::string nul(1, '\0');
  const std::string text = absl::StrCat(":", kSha512, ":1000:1000::/\na\tb:", kSha512, ":1000:1000::/\na", nul,
                                        "b:", kSha512, ":1000:1000::/\nx:y:", kSha512, ":1000:1000::/\n");
  for (const std::string& login : {std::string(), std::string("a\tb"), "a" + nul + "b", std::string("x:y"),
                                   std::string("x:y:"), std::string("a\nb"), std::string("\x7f")}) {
    const Lookup lookup = FindLogin(text, login, kUidMin);
    EXPECT_EQ(lookup.found, Found::kUnknown) << login;
    EXPECT_EQ(lookup.faults.size(), 4u);
  }
}

TEST(FindLoginTest, RefusesALoginWithTwoLines) {
  const std::string good = absl::StrCat("u:", kSha512, ":1000:1000::/home/u\n");
  for (const std::string& second : {good, std::string("u:!:1000:1000::/home/u\n"), std::string("u:\n")}) {
    for (const std::string& text : {good + second, second + good}) {
      const Lookup lookup = FindLogin(text, "u", kUidMin);
      EXPECT_EQ(lookup.found, Found::kFaulty) << text;
      EXPECT_EQ(lookup.own_fault.line, 2u) << text;
    }
  }
  EXPECT_EQ(FindLogin(good + good + "v:!:1000:1000::/home/v", "v", kUidMin).found, Found::kLocked);
}

TEST(FindLoginTest, ReportsOtherLinesAndPassesOverThem) {
  std::string text = "bad\n";
  absl::StrAppend(&text, "r:", kSha512, ":0:0::/root\nu:", kSha512, ":1000:1000::/home/u\n");
  Lookup lookup = FindLogin(text, "u", kUidMin);
  EXPECT_EQ(lookup.found, Found::kUser);
  ASSERT_EQ(lookup.faults.size(), 2u);
  EXPECT_EQ(lookup.faults[0].line, 1u);
  EXPECT_EQ(lookup.faults[1].line, 2u);
  for (size_t i = 0; i < kFaultsMax; ++i) absl::StrAppend(&text, "bad\n");
  lookup = FindLogin(text, "u", kUidMin);
  EXPECT_EQ(lookup.found, Found::kUser);
  EXPECT_EQ(lookup.faults.size(), kFaultsMax);
  EXPECT_EQ(lookup.more_faults, 2u);
}

TEST(FindLoginTest, TakesTheMinimumFromItsCaller) {
  const std::string text = absl::StrCat("u:", kSha512, ":70300:70300::/home/u\nr:", kSha512, ":0:1::/\n");
  EXPECT_EQ(FindLogin(text, "u", 0).found, Found::kUser);
  EXPECT_EQ(FindLogin(text, "u", 70300).found, Found::kUser);
  EXPECT_EQ(FindLogin(text, "u", 70301).found, Found::kFaulty);
  EXPECT_EQ(FindLogin(text, "r", 0).found, Found::kFaulty);  // never root
}

std::multiset<std::string> Kinds(const Lookup& lookup) {
  std::multiset<std::string> kinds;
  for (const std::string& hash : lookup.hashes) kinds.emplace(HashKind(hash));
  return kinds;
}

TEST(FindLoginTest, GivesEveryLoginTheSameWork) {
  const std::string tail = ":1000:1000::/home\n";
  const std::string text =
      absl::StrCat("y1:", kYescrypt, tail, "y2:", kYescrypt, tail, "b:", kBcrypt, tail) +
      absl::StrCat("s:", kSha512, tail, "l1:!", kSha512Rounds, tail, "l2:*", tail, "bad:", kSha512Rounds, "x", tail);
  const std::multiset<std::string> kinds = {"$y$j9T$", "$2b$12$", "$6$"};
  for (const char* login : {"y1", "y2", "b", "s", "l1", "l2", "nobody", "", "a:b"})
    EXPECT_EQ(Kinds(FindLogin(text, login, kUidMin)), kinds) << login;
}

TEST(FindLoginTest, HasWorkWhereTheFileHasNone) {
  for (const char* text : {"", "# nobody yet\n", "u:!:1000:1000::/home/u\n", "u:!:1000:1000::/\nbad\n"}) {
    for (const char* login : {"u", "nobody"}) {
      const Lookup lookup = FindLogin(text, login, kUidMin);
      EXPECT_NE(lookup.found, Found::kUser);
      EXPECT_EQ(Kinds(lookup), std::multiset<std::string>{"$y$j9T$"}) << text;
    }
  }
}

TEST(FindLoginTest, BoundsTheWorkOfAFileOfManyCosts) {
  std::string text;
  for (int i = 0; i < 50; ++i) {
    absl::StrAppend(&text, "u", i, ":$6$rounds=", 5000 + i, "$salt$", std::string(86, 'd'), ":1000:1000::/home\n");
  }
  for (int i = 0; i < 50; ++i) {
    const Lookup lookup = FindLogin(text, absl::StrCat("u", i), kUidMin);
    ASSERT_EQ(lookup.found, Found::kUser);
    EXPECT_EQ(lookup.hashes.size(), kHashKindsMax);
    EXPECT_EQ(HashKind(lookup.hashes[lookup.own_hash]), absl::StrCat("$6$rounds=", 5000 + i, "$"));
  }
  EXPECT_EQ(FindLogin(text, "nobody", kUidMin).hashes.size(), kHashKindsMax);
}

}  // namespace
}  // namespace postern::checkpassword
