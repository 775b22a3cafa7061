#ifndef POSTERN_CAPABILITIES_RULES_H_
#define POSTERN_CAPABILITIES_RULES_H_

// Which of a backend's capabilities the broker may announce before the login, when no backend is there yet: of a list
// that is configured each has to pass, of one that a backend has told those that pass are kept. Pure.

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace postern::capabilities {

inline constexpr size_t kPop3LinesMax = 12;
inline constexpr size_t kPop3LineOctetsMax = 510;  // of CAPA, without CRLF: RFC 2449 §4
inline constexpr size_t kImapAtomsMax = 64;        // with the next one, a greeting of 4.2 KiB: under RFC 2683's 8000
inline constexpr size_t kImapAtomOctetsMax = 64;

enum class Verdict {
  kGood,
  kMalformed,
  kOwn,          // the broker decides: it depends on the state of the session, or it is the broker that does it
  kBeforeLogin,  // its command belongs before the login
};

// The name of a capability: what stands before its first argument.
absl::string_view Tag(absl::string_view capability);

// One line of CAPA (RFC 2449 §3). Where the backend does the login it bears out more of it.
Verdict JudgePop3(absl::string_view line, bool backend_login);
// One atom of CAPABILITY (RFC 3501 §7.2.1).
Verdict JudgeImap(absl::string_view atom);

// What is kept of what a backend has told, each once and no more than the limits above. Of IMAP an empty list, where it
// told nothing, or one with IMAP4rev1 or IMAP4rev2 in it.
std::vector<std::string> KeepPop3(const std::vector<std::string>& told, bool backend_login);
std::vector<std::string> KeepImap(const std::vector<std::string>& told);

}  // namespace postern::capabilities

#endif  // POSTERN_CAPABILITIES_RULES_H_
