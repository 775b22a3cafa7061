#include "protocolbroker/sasl/exchange.h"

#include <gtest/gtest.h>
#include <string.h>

#include <vector>

#include "absl/strings/escaping.h"

namespace postern::protocolbroker::sasl {
namespace {

std::string Base64(absl::string_view octets) { return absl::Base64Escape(octets); }
std::string Plain(absl::string_view authorization, absl::string_view user, absl::string_view password) {
  return Base64(absl::StrCat(authorization, absl::string_view("\0", 1), user, absl::string_view("\0", 1), password));
}

struct Row {
  const char* what;
  const char* mechanism;
  std::optional<std::string> initial;
  std::vector<std::string> answers;
  std::vector<std::string> challenges;  // in the clear
  const char* error;                    // "" if the exchange ends well
  const char *user, *password;
};

TEST(ExchangeTest, FollowsTheTable) {
  const std::string long_password(600, 'x');
  const Row kRows[] = {
      {"plain", "PLAIN", {}, {Plain("", "u", "p")}, {""}, "", "u", "p"},
      {"plain, initial", "plain", Plain("", "u", "p"), {}, {}, "", "u", "p"},
      {"plain, same identity", "PLAIN", Plain("u", "u", "p w"), {}, {}, "", "u", "p w"},
      {"plain, another identity", "PLAIN", Plain("v", "u", "p"), {}, {}, "no login as another user", "", ""},
      {"plain, octets above ASCII", "PLAIN", Plain("", "\xc3\xbc", "\xff"), {}, {}, "", "\xc3\xbc", "\xff"},
      {"plain, empty initial", "PLAIN", "=", {}, {}, "PLAIN wants three fields", "", ""},
      {"plain, two fields", "PLAIN", Base64(absl::string_view("u\0p", 3)), {}, {}, "PLAIN wants three fields", "", ""},
      {"plain, four", "PLAIN", Base64(absl::string_view("\0u\0p\0", 5)), {}, {}, "PLAIN wants three fields", "", ""},
      {"plain, cancelled", "PLAIN", {}, {"*"}, {""}, "cancelled", "", ""},
      {"plain, empty answer", "PLAIN", {}, {""}, {""}, "PLAIN wants three fields", "", ""},
      {"plain, no user", "PLAIN", Plain("", "", "p"), {}, {}, "the user name is empty", "", ""},
      {"plain, no password", "PLAIN", Plain("", "u", ""), {}, {}, "the password is empty", "", ""},
      {"plain, control",
       "PLAIN",
       Plain("", "u\r\nDELE 1", "p"),
       {},
       {},
       "control character in user name or password",
       "",
       ""},
      {"plain, long",
       "PLAIN",
       Plain("", "u", long_password),
       {},
       {},
       "user name and password are too long to be tried",
       "",
       ""},
      {"no padding", "PLAIN", "AHUAcA", {}, {}, "not base64", "", ""},
      {"space", "PLAIN", "AHUA cA==", {}, {}, "not base64", "", ""},
      {"bits behind the end", "PLAIN", "AHUAcB==", {}, {}, "not base64", "", ""},
      {"dots for padding", "PLAIN", "AHUAcA..", {}, {}, "not base64", "", ""},
      {"padding alone", "PLAIN", "====", {}, {}, "not base64", "", ""},
      {"padding, then more", "PLAIN", "AHUAcA==AAAA", {}, {}, "not base64", "", ""},
      {"one octet too few", "PLAIN", "AHUAc", {}, {}, "not base64", "", ""},
      {"NUL in the base64", "PLAIN", std::string("AHUA\0cA==", 9), {}, {}, "not base64", "", ""},
      {"= as an answer", "PLAIN", {}, {"="}, {""}, "not base64", "", ""},
      {"other alphabet", "PLAIN", "AHUA-w==", {}, {}, "not base64", "", ""},
      {"a command", "PLAIN", {}, {"STLS"}, {""}, "PLAIN wants three fields", "", ""},  // it is base64
      {"a command with a space", "PLAIN", {}, {"RETR 1"}, {""}, "not base64", "", ""},
      {"login", "LOGIN", {}, {Base64("u"), Base64("p")}, {"Username:", "Password:"}, "", "u", "p"},
      {"login, initial", "Login", Base64("u"), {Base64("p")}, {"Password:"}, "", "u", "p"},
      {"login, NUL",
       "LOGIN",
       Base64(absl::string_view("u\0v", 3)),
       {Base64("p")},
       {"Password:"},
       "control character in user name or password",
       "",
       ""},
      {"login, octets above ASCII",
       "LOGIN",
       Base64("\xc3\xbc"),
       {Base64("\xff")},
       {"Password:"},
       "",
       "\xc3\xbc",
       "\xff"},
      {"login, empty password", "LOGIN", Base64("u"), {""}, {"Password:"}, "the password is empty", "", ""},
      {"login, malformed user", "LOGIN", {}, {"dQ="}, {"Username:"}, "not base64", "", ""},
      {"login, malformed password", "LOGIN", Base64("u"), {"="}, {"Password:"}, "not base64", "", ""},
      {"login, a command", "LOGIN", Base64("u"), {"STLS\r"}, {"Password:"}, "not base64", "", ""},
      {"login, empty user", "LOGIN", "=", {Base64("p")}, {"Password:"}, "the user name is empty", "", ""},
      {"login, cancelled", "LOGIN", {}, {Base64("u"), "*"}, {"Username:", "Password:"}, "cancelled", "", ""},
      {"unknown", "CRAM-MD5", {}, {}, {}, "only PLAIN and LOGIN are served here", "", ""},
      {"unknown, initial", "XOAUTH2", "dQ==", {}, {}, "only PLAIN and LOGIN are served here", "", ""},
  };
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.what);
    Exchange exchange;
    Result result = exchange.Start(
        row.mechanism, row.initial.has_value() ? std::optional<absl::string_view>(*row.initial) : std::nullopt);
    std::vector<std::string> challenges;
    for (const std::string& answer : row.answers) {
      ASSERT_EQ(result, Result::kChallenge);
      std::string challenge;
      ASSERT_TRUE(absl::Base64Unescape(exchange.challenge(), &challenge));
      challenges.push_back(challenge);
      result = exchange.OnAnswer(answer);
    }
    EXPECT_EQ(challenges, row.challenges);
    const absl::string_view error = row.error;
    const bool malformed = error == "cancelled" || error == "not base64";
    EXPECT_EQ(result, error.empty() ? Result::kDone : malformed ? Result::kMalformed : Result::kFailed);
    if (!error.empty()) {
      EXPECT_STREQ(exchange.error(), row.error);
    }
    EXPECT_EQ(exchange.user(), row.user);
    EXPECT_EQ(exchange.password(), row.password);
  }
}

TEST(ExchangeTest, TheLongestThatFits) {
  const std::string password(kCredentialsOctetsMax - 1, 'p');
  EXPECT_EQ(Refusal("u", password), nullptr);
  EXPECT_STREQ(Refusal("uu", password), "user name and password are too long to be tried");
  EXPECT_LE(kCredentialsOctetsMax + 3 + strlen("none"), 512u);             // what checkpassword reads
  EXPECT_LE(Plain("", "u", password + "p").size() + 2, kAnswerOctetsMax);  // so that it is refused by name
}

TEST(ExchangeTest, ClearLeavesNothing) {
  std::string secret = "a longer secret than a short string holds";
  const char* const octets = secret.data();
  const size_t size = secret.size();
  secret.resize(3);
  Clear(secret);
  EXPECT_TRUE(secret.empty());
  ASSERT_GE(secret.capacity(), size);  // the memory is still the string's
  EXPECT_EQ(absl::string_view(octets, size).find_first_not_of('\0'), absl::string_view::npos);
}

TEST(ExchangeTest, Forgets) {
  Exchange exchange;
  EXPECT_EQ(exchange.Start("PLAIN", "AHgAeQ=="), Result::kDone);
  exchange.Forget();
  EXPECT_EQ(exchange.user() + exchange.password(), "");
  EXPECT_EQ(exchange.Start("PLAIN", "AHgAeQ=="), Result::kDone);
  EXPECT_EQ(exchange.Start("PLAIN", "!"), Result::kMalformed);
  EXPECT_EQ(exchange.user() + exchange.password(), "");
}

TEST(ExchangeTest, StartsAnew) {
  Exchange exchange;
  EXPECT_EQ(exchange.Start("LOGIN", std::nullopt), Result::kChallenge);
  EXPECT_EQ(exchange.OnAnswer("dQ=="), Result::kChallenge);
  EXPECT_EQ(exchange.Start("PLAIN", std::nullopt), Result::kChallenge);
  EXPECT_EQ(exchange.user(), "");
  EXPECT_EQ(exchange.OnAnswer("AHgAeQ=="), Result::kDone);
  EXPECT_EQ(exchange.user(), "x");
}

}  // namespace
}  // namespace postern::protocolbroker::sasl
