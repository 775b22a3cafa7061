#include "sandbox/errors.h"

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "absl/strings/str_cat.h"

namespace postern::sandbox {

void Errors::Add(const Line& line, absl::string_view at, absl::string_view what) {
  if (entries_.size() == kErrorsMax) {
    more_ = true;
    return;
  }
  const auto begin = reinterpret_cast<uintptr_t>(line.text.data());
  const auto place = reinterpret_cast<uintptr_t>(at.data());
  const size_t column = place >= begin && place <= begin + line.text.size() ? place - begin + 1 : 1;
  entries_.push_back({line.number, column, std::string(what)});
}

absl::Status Errors::ToStatus() const {
  if (entries_.empty()) return absl::OkStatus();
  std::vector<Entry> sorted = entries_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  std::string text;
  for (const Entry& entry : sorted)
    absl::StrAppend(&text, text.empty() ? "" : "\n", name_, ":", entry.line, ":", entry.column, ": ", entry.what);
  if (more_) absl::StrAppend(&text, "\n", name_, ": and more; these are the first ", kErrorsMax);
  return absl::InvalidArgumentError(text);
}

}  // namespace postern::sandbox
