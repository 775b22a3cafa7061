#ifndef POSTERN_SANDBOX_SUGGEST_H_
#define POSTERN_SANDBOX_SUGGEST_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::sandbox {

// " (did you mean NAME?)" with the nearest of `candidates`; "" if none is near.
std::string DidYouMean(absl::string_view word, const std::vector<absl::string_view>& candidates);

// In double quotes, cut at 64 octets: what is printed comes from a file that may be anything.
std::string Quoted(absl::string_view word);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_SUGGEST_H_
