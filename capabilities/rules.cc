#include "capabilities/rules.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace postern::capabilities {
namespace {

// These depend on the state of the session (RFC 2595 §4: STLS only before TLS) or on what the broker does itself. Where
// the backend does the login, it is the backend that must bear out all but the first two.
constexpr absl::string_view kOwnPop3[] = {"STLS", "USER", "SASL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE"};
constexpr absl::string_view kOwnPop3WithLoginByBackend[] = {"STLS", "USER"};
// RFC 6856 §2.1 and §3: commands for before the login, when the broker has the client and no backend runs that could
// obey them. Inside TLS a backend that does the login announces them itself.
constexpr absl::string_view kBeforeLoginPop3[] = {"UTF8", "LANG"};

// RFC 2595 §3.1 and §3.2, RFC 4959, RFC 2221.
constexpr absl::string_view kOwnImap[] = {"STARTTLS", "LOGINDISABLED", "SASL-IR", "LOGIN-REFERRALS"};
constexpr absl::string_view kOwnImapPrefix = "AUTH=";
constexpr absl::string_view kBeforeLoginImap[] = {"LANGUAGE"};  // RFC 5255 §3.1
constexpr absl::string_view kImap[] = {"IMAP4rev1", "IMAP4rev2"};

// Without regard to case, as the names of both protocols are to be read.
template <typename Words>
bool Contains(const Words& words, absl::string_view word) {
  return std::any_of(std::begin(words), std::end(words),
                     [&](absl::string_view known) { return absl::EqualsIgnoreCase(known, word); });
}

// Letters, digits and hyphens, then words of printable ASCII, each behind a single space.
bool IsPop3Line(absl::string_view line) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  const bool tag_is_good = std::all_of(words[0].begin(), words[0].end(), [](unsigned char c) {
    return absl::ascii_isupper(c) || absl::ascii_isdigit(c) || c == '-';
  });
  return tag_is_good && line.size() <= kPop3LineOctetsMax &&
         std::all_of(words.begin(), words.end(), [](absl::string_view word) {
           return !word.empty() && std::all_of(word.begin(), word.end(), absl::ascii_isgraph);
         });
}

// RFC 3501 §9.
bool IsAtom(absl::string_view word) {
  return !word.empty() && word.size() <= kImapAtomOctetsMax &&
         std::all_of(word.begin(), word.end(), absl::ascii_isgraph) &&
         word.find_first_of("(){%*\"\\]") == absl::string_view::npos;
}

}  // namespace

absl::string_view Tag(absl::string_view capability) { return capability.substr(0, capability.find(' ')); }

Verdict JudgePop3(absl::string_view line, bool backend_login) {
  if (!IsPop3Line(line)) return Verdict::kMalformed;
  if (backend_login ? Contains(kOwnPop3WithLoginByBackend, Tag(line)) : Contains(kOwnPop3, Tag(line)))
    return Verdict::kOwn;
  return Contains(kBeforeLoginPop3, Tag(line)) ? Verdict::kBeforeLogin : Verdict::kGood;
}

Verdict JudgeImap(absl::string_view atom) {
  if (!IsAtom(atom)) return Verdict::kMalformed;
  if (Contains(kOwnImap, atom) || absl::StartsWithIgnoreCase(atom, kOwnImapPrefix)) return Verdict::kOwn;
  return Contains(kBeforeLoginImap, atom) ? Verdict::kBeforeLogin : Verdict::kGood;
}

std::vector<std::string> KeepPop3(const std::vector<std::string>& told, bool backend_login) {
  std::vector<std::string> kept;
  std::vector<absl::string_view> tags;
  for (const std::string& line : told) {
    if (kept.size() == kPop3LinesMax) break;
    if (JudgePop3(line, backend_login) != Verdict::kGood || Contains(tags, Tag(line))) continue;
    tags.push_back(Tag(line));
    kept.push_back(line);
  }
  return kept;
}

std::vector<std::string> KeepImap(const std::vector<std::string>& told) {
  std::vector<std::string> kept;
  for (const std::string& atom : told) {
    if (kept.size() == kImapAtomsMax) break;
    if (JudgeImap(atom) == Verdict::kGood && !Contains(kept, atom)) kept.push_back(atom);
  }
  const bool named =
      std::any_of(kept.begin(), kept.end(), [](const std::string& atom) { return Contains(kImap, atom); });
  if (!told.empty() && !named) {
    kept.resize(std::min(kept.size(), kImapAtomsMax - 1));
    kept.insert(kept.begin(), std::string(kImap[0]));
  }
  return kept;
}

}  // namespace postern::capabilities
