#include "base/suggest.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace postern::base {
namespace {

constexpr size_t kWordOctetsMax = 64;   // longer is no slip of the pen, and the work grows with the square
constexpr size_t kPrefixOctetsMin = 3;  // shorter begins too much

// Optimal string alignment: the least number of insertions, deletions, substitutions and swaps of neighbours.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string Nearest(absl::string_view word, absl::Span<const absl::string_view> known) {
  std::string nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (absl::string_view candidate : known) {
    if (candidate.size() > kWordOctetsMax) continue;
    const size_t distance = Distance(word, absl::AsciiStrToLower(candidate));
    // Where every letter would have to change, nothing is alike.
    if (distance >= least || distance >= std::min(word.size(), candidate.size())) continue;
    least = distance;
    nearest = std::string(candidate);
  }
  return nearest;
}

std::string OnlyPrefix(absl::string_view word, absl::Span<const absl::string_view> known) {
  std::string found;
  for (absl::string_view candidate : known) {
    if (std::min(word.size(), candidate.size()) < kPrefixOctetsMin) continue;
    if (!absl::StartsWithIgnoreCase(candidate, word) && !absl::StartsWithIgnoreCase(word, candidate)) continue;
    if (!found.empty()) return "";
    found = std::string(candidate);
  }
  return found;
}

}  // namespace

std::string Suggest(absl::string_view word, absl::Span<const absl::string_view> known) {
  if (word.empty() || word.size() > kWordOctetsMax) return "";
  const std::string lower = absl::AsciiStrToLower(word);
  std::string nearest = Nearest(lower, known);
  return nearest.empty() ? OnlyPrefix(lower, known) : nearest;
}

}  // namespace postern::base
