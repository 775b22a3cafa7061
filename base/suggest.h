#ifndef POSTERN_BASE_SUGGEST_H_
#define POSTERN_BASE_SUGGEST_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace postern::base {

// The one of `known` that somebody who wrote `word` most likely meant, or "" if none is near. Near is: about one slip
// (a letter too many, missing, wrong, or two exchanged) for every three letters; failing that, a word that begins with
// the other one ("cert" for "certificate"), if there is only one. Capitals do not count. Of equally near ones the
// first.
std::string Suggest(absl::string_view word, absl::Span<const absl::string_view> known);

}  // namespace postern::base

#endif  // POSTERN_BASE_SUGGEST_H_
