// What the tests of the parser share.
#ifndef POSTERN_CONFIG_TEST_TEXT_H_
#define POSTERN_CONFIG_TEST_TEXT_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "config/config.h"

namespace postern::config {

inline constexpr char kPath[] = "/etc/p.toml";

// What Parse says of it, "" if nothing.
inline std::string Problems(absl::string_view text) { return std::string(Parse(kPath, text).status().message()); }

// The least that is complete; `more` goes into the service.
inline std::string Minimal(absl::string_view more = "") {
  return absl::StrCat(
      "[service.s]\nprotocol='pop3'\nlisten=['127.0.0.1:1']\ncertificate='c'\nkey='k'\ncheckpassword=['/c']\n"
      "backend=['/b']\n",
      more);
}

struct Row {
  std::string text;
  absl::string_view problems;  // lines without "/etc/p.toml"; "" = none
};

inline std::string WithPath(absl::string_view problems) {
  if (problems.empty()) return "";
  return absl::StrCat(kPath, absl::StrReplaceAll(problems, {{"\n", absl::StrCat("\n", kPath)}, {"FILE", kPath}}));
}

inline void Follow(const std::vector<Row>& rows) {
  for (const Row& row : rows) EXPECT_EQ(Problems(row.text), WithPath(row.problems)) << row.text;
}

}  // namespace postern::config

#endif  // POSTERN_CONFIG_TEST_TEXT_H_
