#include "logger/line.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace postern::logger {
namespace {

std::string Escape(absl::string_view text, absl::string_view also) {
  std::string escaped;
  for (char c : text) {
    if (absl::ascii_isprint(static_cast<unsigned char>(c)) && also.find(c) == absl::string_view::npos)
      escaped += c;
    else
      absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(c));
  }
  return escaped;
}

}  // namespace

std::string Line(absl::string_view role, pid_t pid, absl::string_view record) {
  const std::string stamp = absl::StrCat("role=", role, " pid=", pid, " ");
  if (role != kBackendSource) return absl::StrCat(stamp, Escape(record, ""), "\n");
  return absl::StrCat(stamp, "ev=stderr text=\"", Escape(absl::StripSuffix(record, "\n"), "\"\\"), "\"\n");
}

}  // namespace postern::logger
