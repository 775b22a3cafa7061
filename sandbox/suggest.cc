#include "sandbox/suggest.h"

#include "absl/strings/str_cat.h"
#include "base/suggest.h"

namespace postern::sandbox {

std::string DidYouMean(absl::string_view word, const std::vector<absl::string_view>& candidates) {
  const std::string nearest = base::Suggest(word, candidates);
  return nearest.empty() ? "" : absl::StrCat(" (did you mean ", nearest, "?)");
}

std::string Quoted(absl::string_view word) {
  constexpr size_t kWordOctetsMax = 64;
  return absl::StrCat("\"", word.substr(0, kWordOctetsMax), word.size() > kWordOctetsMax ? "~" : "", "\"");
}

}  // namespace postern::sandbox
