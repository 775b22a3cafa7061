#include "base/suggest.h"

#include <gtest/gtest.h>

namespace postern::base {
namespace {

TEST(SuggestTest, FindsWhatWasMeant) {
  const absl::string_view kKnown[] = {
      "sessions", "sessions_per_address", "login_attempts", "login_seconds", "listen", "listen_tls",
      "key",      "certificate"};
  const struct {
    absl::string_view word, suggested, why;
  } kRows[] = {
      {"sesions", "sessions", "a letter is missing"},
      {"sessionss", "sessions", "one too many"},
      {"listan", "listen", "a wrong one"},
      {"kye", "key", "two exchanged count as one slip"},
      {"Sessions", "sessions", "capitals do not count"},
      {"LISTEN-TLS", "listen_tls", "nor do they beside a slip"},
      {"listentls", "listen_tls", "the nearer of two"},
      {"login_secs", "login_seconds", "three slips in ten letters"},
      {"cert", "certificate", "the only one that begins so"},
      {"key_file", "key", "the only one it begins with"},
      {"login", "", "begins two"},
      {"idle", "", "nothing alike"},
      {"ab", "", "every letter would change"},
      {"k", "", "too short to begin anything"},
      {"", "", "nothing to go by"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Suggest(row.word, kKnown), row.suggested) << row.word << ": " << row.why;
  EXPECT_EQ(Suggest(std::string(65, 'k'), kKnown), "");
  EXPECT_EQ(Suggest("key", {}), "");
}

}  // namespace
}  // namespace postern::base
