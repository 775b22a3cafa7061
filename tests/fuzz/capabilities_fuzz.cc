// A backend that may say anything when it is asked what it can do: what is kept is whole, clean and small enough to be
// announced.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "capabilities/rules.h"
#include "protocolbroker/imap/capabilities.h"
#include "protocolbroker/pop3/capabilities.h"

namespace {

using namespace postern;  // NOLINT: a test
using protocolbroker::Interview;

constexpr size_t kImapOctetsMax = 5000;  // leaves room for the rest of a greeting of 8000

void Check(bool condition) {
  if (!condition) abort();
}

void CheckKept(const std::vector<std::string>& kept, bool imap, bool backend_login) {
  for (const std::string& one : kept) {
    Check(std::all_of(one.begin(), one.end(), absl::ascii_isprint));
    Check((imap ? capabilities::JudgeImap(one) : capabilities::JudgePop3(one, backend_login)) ==
          capabilities::Verdict::kGood);
    Check(std::count(kept.begin(), kept.end(), one) == 1);
    Check(!absl::StartsWithIgnoreCase(one, imap ? "STARTTLS" : "STLS") || one.size() > (imap ? 8u : 4u));
  }
  Check(kept.size() <= (imap ? capabilities::kImapAtomsMax : capabilities::kPop3LinesMax));
  if (!imap) return;
  Check(absl::StrJoin(kept, " ").size() <= kImapOctetsMax);
  Check(kept.empty() || std::any_of(kept.begin(), kept.end(), [](const std::string& atom) {
          return absl::EqualsIgnoreCase(atom, "IMAP4rev1") || absl::EqualsIgnoreCase(atom, "IMAP4rev2");
        }));
}

}  // namespace

// The first octet says who asks: 1, of IMAP; 2, where the backend does the login. Then lines that end in LF.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const bool imap = (data[0] & 1) != 0, backend_login = (data[0] & 2) != 0;
  std::unique_ptr<Interview> interview;
  if (imap)
    interview = std::make_unique<protocolbroker::imap::CapabilityInterview>();
  else
    interview = std::make_unique<protocolbroker::pop3::CapaInterview>();
  bool greeted = false;
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1), '\n')) {
    const Interview::Next next = greeted ? interview->OnLine(line) : interview->OnGreeting(line);
    greeted = true;
    if (next != Interview::Next::kMore) break;
  }
  // Also what the child that asked would not have passed on.
  CheckKept(imap ? capabilities::KeepImap(interview->told()) : capabilities::KeepPop3(interview->told(), backend_login),
            imap, backend_login);
  return 0;
}
