#include "checkpassword/verify.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "checkpassword/hash.h"

namespace postern::checkpassword {
namespace {

// Known answers, all of "secret" with a low cost, made by crypt(3) of libxcrypt 4.4.33.
constexpr absl::string_view kYescrypt = "$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01";
constexpr absl::string_view kGost = "$gy$j75$abcdefgh$lRD8hCfuUnaykqHEd24aR4OED0E.hiL5k0lM9Kg0qT5";
constexpr absl::string_view kBcrypt = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
constexpr absl::string_view kSha256 = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";
constexpr absl::string_view kSha512 =
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1";
// Whole in form, but with parameters that libcrypt refuses.
constexpr absl::string_view kImpossible = "$y$zzzz$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01";

std::string Line(absl::string_view login, absl::string_view hash) {
  return absl::StrCat(login, ":", hash, ":1000:1000::/home\n");
}

Verdict Ask(absl::string_view text, absl::string_view login, const char* password) {
  return Verify(FindLogin(text, login, 100), password, Hash);
}

TEST(VerifyTest, KnowsTheMethods) {
  for (absl::string_view hash : {kYescrypt, kGost, kBcrypt, kSha256, kSha512}) {
    const std::string text = Line("u", hash);
    EXPECT_EQ(Ask(text, "u", "secret"), Verdict::kAccepted) << hash;
    for (const char* wrong : {"", "Secret", "secret ", "secre", "secrets", "\xff"})
      EXPECT_EQ(Ask(text, "u", wrong), Verdict::kRejected) << hash << wrong;
    EXPECT_EQ(Ask(text, "v", "secret"), Verdict::kRejected) << hash;
    EXPECT_EQ(Ask(Line("u", absl::StrCat("!", hash)), "u", "secret"), Verdict::kRejected) << hash;
    EXPECT_EQ(Ask(Line("u", absl::StrCat("*", hash)), "u", "secret"), Verdict::kRejected) << hash;
  }
}

TEST(VerifyTest, AcceptsNobodyElsesPassword) {
  const std::string text = Line("a", kBcrypt) + Line("b", kYescrypt) + Line("c", kSha256) + Line("l", "!");
  std::string other = Hash("other", std::string(kBcrypt));
  const std::string with_other = text + Line("o", other);
  EXPECT_EQ(Ask(with_other, "o", "other"), Verdict::kAccepted);
  EXPECT_EQ(Ask(with_other, "o", "secret"), Verdict::kRejected);  // a's, whose hash is of the same kind
  EXPECT_EQ(Ask(with_other, "a", "other"), Verdict::kRejected);
  EXPECT_EQ(Ask(with_other, "l", "secret"), Verdict::kRejected);
  EXPECT_EQ(Ask(with_other, "nobody", "secret"), Verdict::kRejected);
  EXPECT_EQ(Ask("", "nobody", ""), Verdict::kRejected);
}

TEST(VerifyTest, SaysWhenAHashCannotBeComputed) {
  EXPECT_EQ(Ask(Line("u", kImpossible), "u", "secret"), Verdict::kFailed);
  // Others are not touched by it, so long as there is work to do for them.
  const std::string text = Line("u", kImpossible) + Line("v", kBcrypt);
  EXPECT_EQ(Ask(text, "u", "secret"), Verdict::kFailed);
  EXPECT_EQ(Ask(text, "v", "secret"), Verdict::kAccepted);
  EXPECT_EQ(Ask(text, "nobody", "secret"), Verdict::kRejected);
  EXPECT_EQ(Verify(FindLogin(text, "nobody", 100), "secret", [](const char*, const std::string&) { return ""; }),
            Verdict::kFailed);
}

// Equal work is counted, not timed: a clock would make the test depend on what else the machine does.
TEST(VerifyTest, CallsCryptAlikeForEveryLogin) {
  const std::string files[] = {
      "",
      Line("l", "!"),
      Line("a", kYescrypt) + Line("b", kYescrypt) + Line("l", "!"),
      Line("a", kYescrypt) + Line("b", kBcrypt) + Line("c", kSha512) + Line("d", kSha256) + Line("l", kSha512),
      Line("x", kImpossible) + Line("a", kBcrypt) + Line("l", absl::StrCat("!", kSha512)),
  };
  for (const std::string& text : files) {
    std::multiset<std::string> expected;
    for (const char* login : {"nobody", "a", "b", "c", "d", "l", "", "a:b"}) {
      for (const char* password : {"secret", "wrong"}) {
        std::multiset<std::string> calls;
        const auto counting = [&calls, password](const char* asked, const std::string& setting) {
          EXPECT_STREQ(asked, password);
          calls.emplace(HashKind(setting));
          return Hash(asked, setting);
        };
        Verify(FindLogin(text, login, 100), password, counting);
        EXPECT_FALSE(calls.empty());
        if (expected.empty()) expected = calls;  // the first login's, who is not in any file
        EXPECT_EQ(calls, expected) << text << login;
      }
    }
  }
}

TEST(NewHashTest, MakesYescryptWithASaltOfItsOwn) {
  const absl::StatusOr<std::string> one = NewHash("secret");
  const absl::StatusOr<std::string> two = NewHash("secret");
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_NE(*one, *two);
  EXPECT_EQ(HashKind(*one), "$y$j9T$");
  EXPECT_EQ(Ask(Line("u", *one), "u", "secret"), Verdict::kAccepted);
}

}  // namespace
}  // namespace postern::checkpassword
