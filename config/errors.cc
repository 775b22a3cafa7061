#include "config/errors.h"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace postern::config {
namespace {

constexpr size_t kQuotedOctetsMax = 4096;  // PATH_MAX: a path is never cut

}  // namespace

std::string Printable(absl::string_view text) {
  std::string shown;
  for (char octet : text) {
    if (absl::ascii_isprint(static_cast<unsigned char>(octet)))
      shown += octet;
    else
      absl::StrAppend(&shown, absl::CHexEscape(absl::string_view(&octet, 1)));
  }
  return shown;
}

std::string Quote(absl::string_view text) {
  const std::string escaped = absl::StrReplaceAll(text.substr(0, kQuotedOctetsMax), {{"\\", "\\\\"}, {"\"", "\\\""}});
  return absl::StrCat("\"", Printable(escaped), "\"", text.size() > kQuotedOctetsMax ? "~" : "");
}

std::string PlaceText(absl::string_view file, Place place) {
  if (place.line == 0) return Printable(file);
  return absl::StrCat(Printable(file), ":", place.line, ":", place.column);
}

std::vector<std::string> Errors::Lines(absl::string_view file) const {
  auto sorted = errors_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::tie(a.first.line, a.first.column) < std::tie(b.first.line, b.first.column);
  });
  std::vector<std::string> lines;
  for (const auto& [place, message] : sorted) lines.push_back(absl::StrCat(PlaceText(file, place), ": ", message));
  return lines;
}

}  // namespace postern::config
